"""The states of jobs and stage runs, and the only transitions there are. Written by ``services.transitions`` alone.

Job:       queued → running → succeeded | failed
           running → waiting_review → running
           queued | running | waiting_review → cancelling → cancelled
           failed | cancelled → queued                        (retry)
StageRun:  waiting → ready → dispatched → running → succeeded | failed | dead
           running → ready                                    (tried again, not before run_after)
           dispatched → ready                                 (its message was lost)
           waiting | ready → skipped                          (its output exists already)
           any open one → cancelled
           any ended one → waiting                            (the job is retried)
"""

from __future__ import annotations

from collections.abc import Mapping

from django.db.models import IntegerChoices, TextChoices


class JobStatus(TextChoices):
    """Where a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    WAITING_REVIEW = "waiting_review"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"


class RunStatus(TextChoices):
    """Where a stage run stands."""

    WAITING = "waiting"
    READY = "ready"
    DISPATCHED = "dispatched"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    DEAD = "dead"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"


class AttemptOutcome(TextChoices):
    """How one try ended."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    RETRIED = "retried"
    LOST = "lost"
    CANCELLED = "cancelled"


class Priority(IntegerChoices):
    """Lower is sooner."""

    URGENT = 0, "urgent"
    HIGH = 10, "high"
    NORMAL = 20, "normal"
    LOW = 30, "low"


JOB_TRANSITIONS: Mapping[JobStatus, frozenset[JobStatus]] = {
    JobStatus.QUEUED: frozenset({JobStatus.RUNNING, JobStatus.CANCELLING}),
    JobStatus.RUNNING: frozenset(
        {JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.WAITING_REVIEW, JobStatus.CANCELLING}
    ),
    JobStatus.WAITING_REVIEW: frozenset({JobStatus.RUNNING, JobStatus.CANCELLING}),
    JobStatus.CANCELLING: frozenset({JobStatus.CANCELLED}),
    JobStatus.FAILED: frozenset({JobStatus.QUEUED}),
    JobStatus.CANCELLED: frozenset({JobStatus.QUEUED}),
    JobStatus.SUCCEEDED: frozenset({JobStatus.QUEUED}),
}

JOB_OPEN = frozenset({JobStatus.QUEUED, JobStatus.RUNNING, JobStatus.WAITING_REVIEW, JobStatus.CANCELLING})
JOB_ENDED = frozenset(JobStatus) - JOB_OPEN
JOB_RETRYABLE = frozenset({JobStatus.FAILED, JobStatus.CANCELLED, JobStatus.SUCCEEDED})

RUN_OPEN = frozenset({RunStatus.WAITING, RunStatus.READY, RunStatus.DISPATCHED, RunStatus.RUNNING})
RUN_ENDED = frozenset(RunStatus) - RUN_OPEN
RUN_DONE = frozenset({RunStatus.SUCCEEDED, RunStatus.SKIPPED})
RUN_IN_FLIGHT = frozenset({RunStatus.DISPATCHED, RunStatus.RUNNING})

RUN_TRANSITIONS: Mapping[RunStatus, frozenset[RunStatus]] = {
    RunStatus.WAITING: frozenset({RunStatus.READY, RunStatus.SKIPPED, RunStatus.CANCELLED}),
    RunStatus.READY: frozenset({RunStatus.DISPATCHED, RunStatus.SKIPPED, RunStatus.CANCELLED}),
    RunStatus.DISPATCHED: frozenset({RunStatus.RUNNING, RunStatus.READY, RunStatus.CANCELLED}),
    RunStatus.RUNNING: frozenset(
        {RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.DEAD, RunStatus.READY, RunStatus.CANCELLED}
    ),
    **{ended: frozenset({RunStatus.WAITING}) for ended in RUN_ENDED},
}


def sources(target: RunStatus) -> frozenset[RunStatus]:
    """The states from which a run may go to ``target``."""
    return frozenset(source for source, targets in RUN_TRANSITIONS.items() if target in targets)


def job_sources(target: JobStatus) -> frozenset[JobStatus]:
    """The states from which a job may go to ``target``."""
    return frozenset(source for source, targets in JOB_TRANSITIONS.items() if target in targets)
