"""Jobs over HTTP: take orders, show them, change them."""

from __future__ import annotations

import uuid

from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.errors import FieldError
from config.api import ApiView, listed, problems
from config.idempotency import idempotent
from config.pages import KeysetPages
from config.problems import Problem
from jobs.api.schemas import JobCreate, JobListQuery, JobPatch, JobRetry, JobSchema
from jobs.models import Job
from jobs.selectors import JobFilter, job_json, jobs_filtered, jobs_json, jobs_visible_to
from jobs.services.cancel import job_cancel
from jobs.services.editing import job_edit
from jobs.services.retry import job_retry
from jobs.services.submission import JobRequest, job_submit
from jobs.state import Priority

BY_LABEL = {choice.label: int(choice) for choice in Priority}


def job_or_404(view: ApiView, job_id: uuid.UUID) -> Job:
    """The job, if this user may see it."""
    job = jobs_visible_to(view.user).filter(pk=job_id).first()
    if job is None:
        raise Http404
    return job


class JobView(ApiView):
    """A view of jobs."""

    scope_resource = "jobs"

    def answer(self, job_id: uuid.UUID, status: int = 200) -> Response:
        """The job as it stands now."""
        job = Job.objects.select_related("owner", "asset").get(pk=job_id)
        headers = {"Location": f"/api/v1/jobs/{job_id}"} if status == 202 else None
        return Response(job_json(job), status=status, headers=headers)


class JobList(JobView):
    """All jobs."""

    orderings = ("-created_at", "created_at", "priority", "-priority", "title", "-title", "progress", "-progress")
    pagination_class = KeysetPages

    @extend_schema(
        operation_id="jobs_list",
        tags=["jobs"],
        parameters=[JobListQuery],
        responses={200: listed("JobPage", JobSchema), **problems(401, 422)},
    )
    def get(self, request: Request) -> Response:
        """A page of jobs, newest first."""
        query = JobListQuery(data=request.query_params)
        if not query.is_valid():
            errors = [FieldError(f"?{name}", str(texts[0])) for name, texts in query.errors.items()]
            raise Problem(422, "invalid_query", "Some filters are not valid.", errors=errors)
        return self.page(jobs_filtered(jobs_visible_to(self.user), JobFilter(**query.validated_data)), jobs_json)

    @extend_schema(
        operation_id="jobs_create",
        tags=["jobs"],
        request=JobCreate,
        responses={202: JobSchema, **problems(400, 401, 403, 409, 422, 503)},
    )
    @idempotent
    def post(self, request: Request) -> Response:
        """Order a job. It is queued; follow it at ``links.stream``."""
        body = JobCreate(data=request.data)
        body.is_valid(raise_exception=True)
        wanted = body.validated_data
        job = job_submit(
            owner=self.user,
            request=JobRequest(
                kind=wanted["kind"],
                asset_id=wanted["asset"],
                source_language=wanted["source_language"],
                target_languages=tuple(wanted["target_languages"]),
                title=wanted["title"],
                priority=BY_LABEL[wanted["priority"]],
                params=wanted["params"],
            ),
        )
        return self.answer(job.pk, 202)


class JobDetail(JobView):
    """One job."""

    @extend_schema(operation_id="jobs_get", tags=["jobs"], responses={200: JobSchema, **problems(401, 404)})
    def get(self, request: Request, job_id: uuid.UUID) -> Response:
        """The job, with all attempts."""
        return Response(job_json(job_or_404(self, job_id)))

    @extend_schema(
        operation_id="jobs_update",
        tags=["jobs"],
        request=JobPatch,
        responses={200: JobSchema, **problems(400, 401, 403, 404, 422)},
    )
    def patch(self, request: Request, job_id: uuid.UUID) -> Response:
        """Change title or priority."""
        job = job_or_404(self, job_id)
        body = JobPatch(data=request.data)
        body.is_valid(raise_exception=True)
        priority = body.validated_data.get("priority")
        job_edit(
            job_id=job.pk,
            title=body.validated_data.get("title"),
            priority=None if priority is None else BY_LABEL[priority],
        )
        return self.answer(job.pk)

    @extend_schema(
        operation_id="jobs_cancel",
        tags=["jobs"],
        request=None,
        responses={202: JobSchema, **problems(401, 403, 404, 409)},
    )
    def delete(self, request: Request, job_id: uuid.UUID) -> Response:
        """Cancel the job."""
        job = job_or_404(self, job_id)
        job_cancel(job_id=job.pk)
        return self.answer(job.pk, 202)


class JobRetryView(JobView):
    """Queue a job again."""

    @extend_schema(
        operation_id="jobs_retry",
        tags=["jobs"],
        request=JobRetry,
        responses={202: JobSchema, **problems(400, 401, 403, 404, 409, 422)},
    )
    @idempotent
    def post(self, request: Request, job_id: uuid.UUID) -> Response:
        """Do what is missing, or do it anew from a stage on."""
        job = job_or_404(self, job_id)
        body = JobRetry(data=request.data)
        body.is_valid(raise_exception=True)
        wanted = body.validated_data
        job_retry(
            job_id=job.pk,
            resume_from=wanted.get("resume_from") or None,
            languages=wanted.get("languages"),
            params=wanted.get("params"),
        )
        return self.answer(job.pk, 202)
