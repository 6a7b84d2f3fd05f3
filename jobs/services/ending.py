"""How jobs end: done, failed, cancelled."""

from __future__ import annotations

from typing import Any

from jobs.models import StageRun
from jobs.models.stage_run import WHOLE
from jobs.services.transitions import JobScope
from jobs.state import RUN_DONE, JobStatus, RunStatus

NOT_STARTED = (RunStatus.WAITING, RunStatus.READY, RunStatus.DISPATCHED)


def end_if_done(scope: JobScope) -> bool:
    """End a running job whose every stage is done."""
    if StageRun.objects.filter(job=scope.job, shard=WHOLE).exclude(status__in=RUN_DONE).exists():
        return False
    if scope.job.status == JobStatus.QUEUED:  # everything was there already
        scope.job_to(JobStatus.RUNNING, started_at=scope.now)
    data = {"warnings": scope.job.warnings}
    return scope.job_to(JobStatus.SUCCEEDED, data, finished_at=scope.now, progress=100.0, error=None)


def job_fail(scope: JobScope, report: dict[str, Any]) -> None:
    """Fail the job, and stop what else it has: finished stages are kept for the retry."""
    if scope.job.status == JobStatus.CANCELLING:
        cancel_if_idle(scope)
        return
    if scope.job_to(JobStatus.FAILED, {"error": report}, error=report, finished_at=scope.now):
        stop_runs(scope, (*NOT_STARTED, RunStatus.RUNNING))


def cancel_if_idle(scope: JobScope) -> bool:
    """A job being cancelled is cancelled once no worker has a run of it."""
    if scope.job.status != JobStatus.CANCELLING:
        return False
    stop_runs(scope, NOT_STARTED)
    if StageRun.objects.filter(job=scope.job, status=RunStatus.RUNNING).exists():
        return False
    return scope.job_to(JobStatus.CANCELLED, finished_at=scope.now)


def stop_runs(scope: JobScope, states: tuple[RunStatus, ...]) -> int:
    """Cancel the job's runs that stand in these states; a worker that has one finds its lease gone."""
    runs = StageRun.objects.filter(job=scope.job, status__in=states).values_list("pk", flat=True)
    return scope.runs_to(runs, RunStatus.CANCELLED, finished_at=scope.now, lease_until=None)
