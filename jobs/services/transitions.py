"""The one writer of the states of jobs and stage runs.

Everything happens inside ``job_scope``: it locks the job's row, so that the events of one job get their ``seq`` in
order; every change compares the state (and the fence, where a worker writes) in the UPDATE's WHERE; events are written
in the same transaction and told to listeners after the commit.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from jobs.models import Job, JobEvent, StageRun
from jobs.realtime.publish import publish_events
from jobs.state import JobStatus, RunStatus, job_sources, sources

STAGE_EVENTS = {
    RunStatus.RUNNING: "stage.started",
    RunStatus.SUCCEEDED: "stage.succeeded",
    RunStatus.SKIPPED: "stage.skipped",
    RunStatus.FAILED: "stage.failed",
    RunStatus.DEAD: "stage.dead",
}
JOB_EVENTS = {
    JobStatus.QUEUED: "job.queued",
    JobStatus.RUNNING: "job.started",
    JobStatus.WAITING_REVIEW: "job.waiting_review",
    JobStatus.SUCCEEDED: "job.succeeded",
    JobStatus.FAILED: "job.failed",
    JobStatus.CANCELLING: "job.cancelling",
    JobStatus.CANCELLED: "job.cancelled",
}


@dataclass(slots=True)
class JobScope:
    """One transaction over one job. ``changes`` are fields of the job's row, written at the end."""

    job: Job
    now: datetime
    changes: dict[str, Any] = field(default_factory=dict)
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def emit(self, type: str, data: dict[str, Any]) -> None:
        """Add an event."""
        self.events.append((type, data))

    def change(self, **fields: Any) -> None:
        """Change fields of the job's row that are not its state."""
        for name, value in fields.items():
            setattr(self.job, name, value)
        self.changes |= fields

    def job_to(self, target: JobStatus, data: dict[str, Any] | None = None, **fields: Any) -> bool:
        """Move the job, if its state allows. The row is locked, so that what we read is what stands."""
        if JobStatus(self.job.status) not in job_sources(target):
            return False
        self.change(status=target.value, **fields)
        self.emit(JOB_EVENTS[target], {"status": target.value, **(data or {})})
        return True

    def run_to(
        self,
        run: StageRun,
        target: RunStatus,
        *,
        fence: int | None = None,
        raise_fence: bool = False,
        event: str | None = None,
        data: dict[str, Any] | None = None,
        **fields: Any,
    ) -> bool:
        """Move one run, if its state and, when given, its fence allow; True when this call did it.

        ``run`` gets the new values. ``raise_fence`` makes ``fence`` one more, for whoever writes from now on. The event
        is the usual one of the target unless ``event`` names another ("" for none); shards report nothing but failures:
        a film has hundreds.
        """
        query = StageRun.objects.filter(pk=run.pk, status__in=sources(target))
        if fence is not None:
            query = query.filter(fence=fence)
            if raise_fence:
                fields["fence"] = fence + 1
        if not query.update(status=target.value, **fields):
            return False
        for name, value in fields.items():
            if not hasattr(value, "resolve_expression"):
                setattr(run, name, value)
        run.status = target.value
        type = STAGE_EVENTS.get(target, "") if event is None else event
        if type and (run.shard == 0 or target in {RunStatus.FAILED, RunStatus.DEAD} or type == "stage.retrying"):
            self.emit(type, stage_data(run) | (data or {}))
        return True

    def runs_to(self, runs: Iterable[int], target: RunStatus, **fields: Any) -> int:
        """Move many runs in silence; how many moved."""
        query = StageRun.objects.filter(pk__in=list(runs), status__in=sources(target))
        return query.update(status=target.value, **fields)

    def _flush(self) -> list[dict[str, Any]]:
        rows = []
        for type, data in self.events:
            self.job.event_seq += 1
            rows.append(JobEvent(job=self.job, seq=self.job.event_seq, type=type, data=data, at=self.now))
        if rows:
            JobEvent.objects.bulk_create(rows)
            self.changes["event_seq"] = self.job.event_seq
        if self.changes:
            Job.objects.filter(pk=self.job.pk).update(**self.changes)
        return [event_json(row) for row in rows]


@contextmanager
def job_scope(job_id: uuid.UUID, *, now: datetime | None = None) -> Iterator[JobScope]:
    """Lock the job, change things, commit, tell. Raises Job.DoesNotExist."""
    with transaction.atomic():
        job = Job.objects.select_for_update(of=("self",)).get(pk=job_id)
        scope = JobScope(job=job, now=now or timezone.now())
        yield scope
        told = scope._flush()
        if told:
            owner = str(job.owner_id)
            transaction.on_commit(lambda: publish_events(job_id=str(job.pk), owner_id=owner, events=told), robust=True)


@contextmanager
def new_job_scope(job: Job) -> Iterator[JobScope]:
    """Insert a job and go on as ``job_scope`` does."""
    with transaction.atomic():
        job.save(force_insert=True)
        with job_scope(job.pk) as scope:
            yield scope


def runs_dispatch(picks: Iterable[tuple[int, int]], *, now: datetime) -> list[tuple[int, int]]:
    """Move ready runs, given with the fence they were seen with, to dispatched; the (run, new fence) pairs that this
    call moved. No event: only a worker starts."""
    moved: list[tuple[int, int]] = []
    with transaction.atomic():
        for run_id, fence in picks:
            if StageRun.objects.filter(pk=run_id, status=RunStatus.READY, fence=fence).update(
                status=RunStatus.DISPATCHED, fence=F("fence") + 1, dispatched_at=now
            ):
                moved.append((run_id, fence + 1))
    return moved


def runs_undispatch(runs: Iterable[int]) -> int:
    """Move runs whose message was lost back to ready; the old message, should it turn up, has an old fence."""
    return StageRun.objects.filter(pk__in=list(runs), status=RunStatus.DISPATCHED).update(
        status=RunStatus.READY, fence=F("fence") + 1, dispatched_at=None
    )


def stage_data(run: StageRun) -> dict[str, Any]:
    """What every stage event carries."""
    return {"stage": run.stage, "language": run.language, "shard": run.shard, "attempt": run.attempt}


def event_json(event: JobEvent) -> dict[str, Any]:
    """The public form of an event."""
    return {
        "seq": event.seq,
        "type": event.type,
        "job": str(event.job_id),
        "at": event.at.isoformat().replace("+00:00", "Z"),
        "data": event.data,
    }
