"""Jobs: looked at, retried, cancelled, moved ahead."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import display

from accounts.admin.base import ReadOnlyAdmin, ReadOnlyInline
from jobs.errors import JobError
from jobs.models import Job, StageRun
from jobs.models.stage_run import WHOLE
from jobs.services.cancel import job_cancel
from jobs.services.editing import job_edit
from jobs.services.retry import job_retry
from jobs.state import Priority

STATUS_COLOURS = {
    "succeeded": "success",
    "skipped": "success",
    "running": "info",
    "dispatched": "info",
    "failed": "danger",
    "dead": "danger",
    "cancelling": "warning",
    "waiting_review": "warning",
}


class StageRuns(ReadOnlyInline):
    """The stages of a job; shards have pages of their own."""

    model = StageRun
    fields = ("stage", "language", "status", "progress", "attempt", "crash_count", "provider", "cached", "finished_at")
    ordering = ("position", "language")

    def get_queryset(self, request: HttpRequest) -> QuerySet[StageRun]:
        """Whole stages only."""
        found: QuerySet[StageRun] = super().get_queryset(request)
        return found.filter(shard=WHOLE)


@admin.register(Job)
class JobAdmin(ReadOnlyAdmin):
    """Jobs."""

    list_display = ("name", "owner", "kind", "shown_status", "shown_progress", "priority", "created_at", "finished_at")
    list_filter = ("status", "kind", "priority")
    search_fields = ("title", "owner__email", "id", "asset__filename")
    list_select_related = ("owner", "asset")
    ordering = ("-created_at", "-id")
    fields = (
        "id", "page", "title", "owner", "asset", "kind", "status", "progress", "priority", "source_language",
        "target_languages", "params", "error", "warnings", "usage", "attempts", "cancel_requested_at", "created_at",
        "started_at", "finished_at", "logs_key", "plan",
    )  # fmt: skip
    readonly_fields = ("page",)
    inlines = (StageRuns,)
    actions = ("retry", "cancel", "make_urgent", "make_high", "make_normal", "make_low")

    @admin.display(description="Job", ordering="title")
    def name(self, job: Job) -> str:
        """The title, or the start of the id."""
        return job.title or str(job.pk)[:8]

    @display(description="Status", ordering="status", label=STATUS_COLOURS)  # type: ignore[untyped-decorator]
    def shown_status(self, job: Job) -> str:
        """A coloured label."""
        return job.status

    @admin.display(description="Progress", ordering="progress")
    def shown_progress(self, job: Job) -> str:
        """In per cent."""
        return f"{job.progress:.0f} %"

    @admin.display(description="Page")
    def page(self, job: Job) -> SafeString:
        """Where its owner follows it."""
        return format_html('<a href="{}">{}</a>', reverse("job-page", args=(job.pk,)), "Open the job's page")

    @admin.action(description="Retry what is missing")
    def retry(self, request: HttpRequest, jobs: QuerySet[Job]) -> None:
        """Queue ended jobs again; finished stages are kept."""
        self.each(request, jobs, lambda job: job_retry(job_id=job.pk), done="Queued again.", refused=JobError)

    @admin.action(description="Cancel")
    def cancel(self, request: HttpRequest, jobs: QuerySet[Job]) -> HttpResponse | None:
        """Cancel, after asking."""
        if request.POST.get("confirmed") != "yes":
            context = {
                **self.admin_site.each_context(request),
                "jobs": jobs,
                "opts": self.model._meta,
                "title": "Cancel",
            }
            return TemplateResponse(request, "admin/jobs/cancel.html", context)
        self.each(request, jobs, lambda job: job_cancel(job_id=job.pk), done="Cancelled.", refused=JobError)
        return None

    @admin.action(description="Priority: urgent")
    def make_urgent(self, request: HttpRequest, jobs: QuerySet[Job]) -> None:
        """Before all others."""
        self._prioritise(request, jobs, Priority.URGENT)

    @admin.action(description="Priority: high")
    def make_high(self, request: HttpRequest, jobs: QuerySet[Job]) -> None:
        """Before normal ones."""
        self._prioritise(request, jobs, Priority.HIGH)

    @admin.action(description="Priority: normal")
    def make_normal(self, request: HttpRequest, jobs: QuerySet[Job]) -> None:
        """As jobs begin."""
        self._prioritise(request, jobs, Priority.NORMAL)

    @admin.action(description="Priority: low")
    def make_low(self, request: HttpRequest, jobs: QuerySet[Job]) -> None:
        """After all others."""
        self._prioritise(request, jobs, Priority.LOW)

    def _prioritise(self, request: HttpRequest, jobs: QuerySet[Job], priority: Priority) -> None:
        self.each(
            request,
            jobs,
            lambda job: job_edit(job_id=job.pk, priority=priority),
            done=f"Priority is {priority.label}.",
            refused=JobError,
        )
