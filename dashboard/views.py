"""Pages for people: who asks, what is read, which template."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, cast

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.templatetags.static import static
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe
from rest_framework.request import Request

from accounts.models import User
from assets.models import AssetKind, AssetStatus
from assets.selectors import asset_json, assets_visible_to
from config.pages import KeysetPages
from config.problems import Problem
from dashboard.presenters import language_label, page_of, rows_of, transcripts_of
from jobs.errors import JobError
from jobs.models import Job
from jobs.selectors import JobFilter, jobs_filtered, jobs_visible_to
from jobs.services.cancel import job_cancel
from jobs.services.retry import job_retry
from jobs.state import JobStatus, Priority
from media_pipeline import languages, registry

RECENT = 20
P = ParamSpec("P")


def writers_only(view: Callable[Concatenate[HttpRequest, P], HttpResponse]) -> Callable[..., HttpResponse]:
    """Signed in, and more than a viewer."""

    @login_required
    @wraps(view)
    def guarded(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        if not _user(request).may_write:
            raise PermissionDenied
        return view(request, *args, **kwargs)

    return guarded


@require_safe
@login_required
@never_cache
def job_list(request: HttpRequest) -> HttpResponse:
    """All jobs that this user may see, newest first."""
    user = _user(request)
    wanted = _filter(request)
    pages = KeysetPages()
    try:
        jobs = pages.paginate_queryset(jobs_filtered(jobs_visible_to(user), wanted), Request(request))
    except Problem:  # a link from another order or version: begin at the first page
        return redirect("job-list")
    context = {
        "rows": rows_of(jobs),
        "next": pages.next_link,
        "previous": pages.previous_link,
        "filter": wanted,
        "filtered": bool(wanted.q or wanted.status or wanted.kind or request.GET.get("cursor")),
        "statuses": JobStatus.choices,
        "kinds": sorted(registry.pipelines()),
        "may_write": user.may_write,
    }
    part = request.headers.get("HX-Request") and not request.headers.get("HX-History-Restore-Request")
    answer = render(request, "dashboard/_jobs.html" if part else "dashboard/jobs.html", context)
    answer["Vary"] = "HX-Request, Cookie"
    return answer


@require_safe
@writers_only
@never_cache
def job_new(request: HttpRequest) -> HttpResponse:
    """The form of a new job; it sends what it has over the API."""
    router = registry.router()
    pairs = sorted(router.pairs())
    kinds = (AssetKind.VIDEO, AssetKind.AUDIO)
    mine = assets_visible_to(_user(request)).filter(owner=_user(request), status=AssetStatus.READY, kind__in=kinds)
    assets = [asset_json(asset) for asset in mine[:RECENT]]
    options = {
        "pairs": pairs,
        "speak": sorted(router.languages("tts")),
        "assets": [{**asset, "created_at": asset["created_at"].isoformat()} for asset in assets],
        "max_bytes": settings.DRAGOMAN["MAX_UPLOAD_BYTES"],
        "chosen": request.GET.get("asset", ""),
    }
    context = {
        "hear": _named(router.languages("asr")),
        "targets": _named({to for _, to in pairs}),
        "assets": assets,
        "priorities": Priority.labels,
        "max_bytes": settings.DRAGOMAN["MAX_UPLOAD_BYTES"],
        "options": options,
    }
    return render(request, "dashboard/new.html", context)


@require_safe
@login_required
@never_cache
def job_page(request: HttpRequest, job_id: uuid.UUID) -> HttpResponse:
    """One job, live."""
    return _job(request, job_id, "dashboard/job.html")


@require_safe
@login_required
@never_cache
def job_live(request: HttpRequest, job_id: uuid.UUID) -> HttpResponse:
    """The part of a job's page that changes while it runs."""
    return _job(request, job_id, "dashboard/_job_live.html")


@require_safe
@login_required
@never_cache
def job_watch(request: HttpRequest, job_id: uuid.UUID) -> HttpResponse:
    """The player, with the film's languages and its transcript."""
    job = _job_or_404(request, job_id)
    return render(request, "dashboard/watch.html", {"page": page_of(job), "languages": transcripts_of(job)})


@require_POST
@writers_only
def job_cancel_page(request: HttpRequest, job_id: uuid.UUID) -> HttpResponse:
    """Cancel, and back to the job."""
    job = _job_or_404(request, job_id)
    return _act(request, job, lambda: job_cancel(job_id=job.pk), "The job is being cancelled.")


@require_POST
@writers_only
def job_retry_page(request: HttpRequest, job_id: uuid.UUID) -> HttpResponse:
    """Queue again, and back to the job."""
    job = _job_or_404(request, job_id)
    stage = request.POST.get("resume_from") or None
    return _act(request, job, lambda: job_retry(job_id=job.pk, resume_from=stage), "The job was queued again.")


@require_safe
def favicon(request: HttpRequest) -> HttpResponse:
    """Where browsers look for an icon when a page names none."""
    return redirect(static("icon.svg"), permanent=False)


def _act(request: HttpRequest, job: Job, act: Callable[[], Any], done: str) -> HttpResponse:
    try:
        act()
    except JobError as error:
        messages.error(request, error.detail)
    else:
        messages.success(request, done)
    return redirect("job-page", job.pk)


def _job(request: HttpRequest, job_id: uuid.UUID, template: str) -> HttpResponse:
    page = page_of(_job_or_404(request, job_id))
    return render(request, template, {"page": page, "may_write": _user(request).may_write})


def _job_or_404(request: HttpRequest, job_id: uuid.UUID) -> Job:
    job = jobs_visible_to(_user(request)).filter(pk=job_id).first()
    if job is None:
        raise Http404
    return job


def _filter(request: HttpRequest) -> JobFilter:
    """What the address asks for; unknown values are left out, as a person cannot mend them."""
    status, kind = request.GET.get("status", ""), request.GET.get("kind", "")
    text = request.GET.get("q", "")[:200].replace("\0", "")
    return JobFilter(
        status=[status] if status in JobStatus.values else [],
        kind=[kind] if kind in registry.pipelines() else [],
        q=text.strip(),
    )


def _named(codes: frozenset[str] | set[str]) -> list[dict[str, str]]:
    found = [{"code": c, "name": language_label(c), "native": languages.native_name(c)} for c in codes if c != "auto"]
    return sorted(found, key=lambda language: (language["code"] != "en", language["name"]))


def _user(request: HttpRequest) -> User:
    return cast(User, request.user)
