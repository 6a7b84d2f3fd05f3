"""What a worker may do with a stage run: claim it, keep it, give its result, give it back."""

from __future__ import annotations

import random
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import F
from django.utils import timezone

from jobs.errors import StaleWrite
from jobs.failpoints import Failpoint, failpoint
from jobs.models import Artifact, Job, StageAttempt, StageRun
from jobs.models.stage_run import WHOLE
from jobs.services import ending, planning
from jobs.services.transitions import JobScope, job_scope, runs_dispatch
from jobs.state import AttemptOutcome, JobStatus, RunStatus
from media_pipeline import registry
from media_pipeline.errors import PipelineError

LONGEST_TEXT = 4_000
FIRST_FENCE = 2
"""Of a run that was dispatched once and claimed once: it has written nothing before."""
RUNNABLE = frozenset({JobStatus.QUEUED, JobStatus.RUNNING})


@dataclass(frozen=True, slots=True)
class Claim:
    """A stage run in the hands of a worker. Whoever writes must hold ``fence``."""

    run: StageRun
    job: Job
    fence: int
    worker: str
    started_at: datetime


@dataclass(frozen=True, slots=True)
class Stored:
    """A file of a stage that lies in storage already."""

    name: str
    type: str
    media_type: str
    storage_key: str
    size: int
    sha256: str
    public: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """A stage's result with its files stored."""

    artifacts: Sequence[Stored]
    facts: dict[str, Any]
    provider: str
    warnings: list[str]
    usage: dict[str, float]


def run_claim(
    *, run_id: int, fence: int, worker: str, ready: bool = False, now: datetime | None = None
) -> Claim | None:
    """Take a dispatched run whose fence is still ``fence``; None when somebody else has it or it is not wanted.

    ``ready``: it was not dispatched yet, and is so here, in the same transaction: a worker that takes its next run
    itself needs no message in between.
    """
    now = now or timezone.now()
    expected = RunStatus.READY if ready else RunStatus.DISPATCHED
    run = StageRun.objects.filter(pk=run_id, fence=fence, status=expected).first()
    if run is None:
        return None
    with job_scope(run.job_id, now=now) as scope:
        if scope.job.status not in RUNNABLE:
            return None
        if ready:
            if not runs_dispatch([(run_id, fence)], now=now):
                return None
            fence += 1
        if not scope.run_to(
            run,
            RunStatus.RUNNING,
            fence=fence,
            raise_fence=True,
            data={"attempt": run.attempt + 1, "worker": worker},
            attempt=run.attempt + 1,  # as read: whatever changes it changes the fence, too
            lease_owner=worker,
            lease_until=now + settings.DRAGOMAN["LEASE"],
            heartbeat_at=now,
            started_at=now,
            finished_at=None,
            progress=0.0,
            error=None,
        ):
            return None
        StageAttempt.objects.create(run=run, number=run.attempt, fence=run.fence, worker=worker, started_at=now)
        if scope.job.status == JobStatus.QUEUED:
            scope.job_to(JobStatus.RUNNING, started_at=scope.job.started_at or now)
        failpoint(Failpoint.CLAIM_BEFORE_COMMIT)
    failpoint(Failpoint.CLAIM_AFTER_COMMIT)
    return Claim(run=run, job=scope.job, fence=run.fence, worker=worker, started_at=now)


def lease_renew(*, run_id: int, fence: int, now: datetime | None = None) -> bool:
    """Keep the run; False when it is somebody else's now."""
    now = now or timezone.now()
    return bool(
        StageRun.objects.filter(pk=run_id, fence=fence, status=RunStatus.RUNNING).update(
            heartbeat_at=now, lease_until=now + settings.DRAGOMAN["LEASE"]
        )
    )


def lease_held(*, run_id: int, fence: int) -> tuple[bool, bool]:
    """Whether the run is still ours, and whether its job is being cancelled."""
    row = StageRun.objects.filter(pk=run_id).values_list("fence", "status", "job__status").first()
    if row is None:
        return False, False
    return (row[0] == fence and row[1] == RunStatus.RUNNING), row[2] == JobStatus.CANCELLING


def run_progress(*, claim: Claim, percent: float, data: dict[str, Any]) -> bool:
    """Keep the last progress on the run; False when the run is not ours any more."""
    return bool(
        StageRun.objects.filter(pk=claim.run.pk, fence=claim.fence, status=RunStatus.RUNNING).update(
            progress=percent, progress_data=data
        )
    )


def run_succeed(*, claim: Claim, outcome: Outcome, now: datetime | None = None) -> Job:
    """Make the result the run's, and let go ahead what waited for it. Raises StaleWrite when the fence moved on."""
    now = now or timezone.now()
    with job_scope(claim.job.pk, now=now) as scope:
        run = claim.run
        outputs = {"facts": outcome.facts, "usage": outcome.usage, "warnings": outcome.warnings}
        if not scope.run_to(
            run,
            RunStatus.SUCCEEDED,
            fence=claim.fence,
            data={"provider": outcome.provider, "duration_seconds": _seconds(claim, now), "cached": False},
            outputs=outputs,
            provider=outcome.provider,
            progress=100.0,
            finished_at=now,
            lease_until=None,
            cost_cents=outcome.usage.get("cents", 0.0),
            cached=False,
            fresh=False,
            crash_count=0,
        ):
            raise StaleWrite
        _attempt_end(claim, AttemptOutcome.SUCCEEDED, now)
        _keep_artifacts(scope, run, outcome.artifacts, anew=claim.fence > FIRST_FENCE)
        planning.apply_facts(scope, run)
        if run.shard == WHOLE or planning.shards_done(run):
            planning.advance(scope)
            ending.end_if_done(scope)
        failpoint(Failpoint.SUCCEED_BEFORE_COMMIT)
    failpoint(Failpoint.SUCCEED_AFTER_COMMIT)
    return scope.job


def _keep_artifacts(scope: JobScope, run: StageRun, stored: Sequence[Stored], *, anew: bool) -> None:
    """List the files of a run; those of an earlier try (``anew``) go out of the list."""
    if anew:
        Artifact.objects.filter(job=scope.job, stage=run.stage, language=run.language, shard=run.shard).delete()
    if not stored:
        return
    rows = [
        Artifact(
            job=scope.job,
            run=run,
            stage=run.stage,
            language=run.language,
            shard=run.shard,
            name=item.name,
            type=item.type,
            media_type=item.media_type,
            storage_key=item.storage_key,
            size=item.size,
            sha256=item.sha256,
            public=item.public,
        )
        for item in stored
    ]
    Artifact.objects.bulk_create(rows)
    told = [row for row in rows if row.public and not _is_part_of_a_stream(row.name)]
    for row in told:
        data = {"name": row.name, "stage": row.stage, "language": row.language, "size": row.size}
        scope.emit("artifact.created", {"id": str(row.pk), **data, "media_type": row.media_type})


def _is_part_of_a_stream(name: str) -> bool:
    """HLS has hundreds of segments; its master stands for all of them."""
    return name.startswith("hls/") and name != "hls/master.m3u8"


def run_fail(*, claim: Claim, error: BaseException, now: datetime | None = None) -> Job:
    """Try again later, or give up and fail the job. Raises StaleWrite when the fence moved on."""
    now = now or timezone.now()
    report = report_of(error, claim.run.stage)
    tries = claim.run.attempt - claim.run.crash_count  # crashes count apart
    again = report["retryable"] and tries < claim.run.max_attempts
    with job_scope(claim.job.pk, now=now) as scope:
        run = claim.run
        if scope.job.status == JobStatus.CANCELLING:  # nothing is tried again
            if not _give_up(scope, claim):
                raise StaleWrite
            return scope.job
        if again:
            wait = backoff(run, getattr(error, "retry_after", None))
            moved = scope.run_to(
                run,
                RunStatus.READY,
                fence=claim.fence,
                event="stage.retrying",
                data={"code": report["code"], "message": report["message"], "in_seconds": round(wait, 1)},
                run_after=now + timedelta(seconds=wait),
                ready_at=now,
                lease_until=None,
                error=report,
            )
        else:
            moved = scope.run_to(
                run,
                RunStatus.FAILED,
                fence=claim.fence,
                data={"error": report},
                error=report,
                finished_at=now,
                lease_until=None,
            )
        if not moved:
            raise StaleWrite
        _attempt_end(claim, AttemptOutcome.RETRIED if again else AttemptOutcome.FAILED, now, error, report["code"])
        if not again:
            ending.job_fail(scope, report)
        failpoint(Failpoint.FAIL_BEFORE_COMMIT)
    failpoint(Failpoint.FAIL_AFTER_COMMIT)
    return scope.job


def run_cancelled(*, claim: Claim, now: datetime | None = None) -> None:
    """The worker stopped because the job is being cancelled. Somebody else's run is left alone."""
    now = now or timezone.now()
    with job_scope(claim.job.pk, now=now) as scope:
        _give_up(scope, claim)


def _give_up(scope: JobScope, claim: Claim) -> bool:
    """End a run whose job is being cancelled, and the job when it was the last one; False when it is not ours."""
    moved = scope.run_to(claim.run, RunStatus.CANCELLED, fence=claim.fence, finished_at=scope.now, lease_until=None)
    if moved:
        _attempt_end(claim, AttemptOutcome.CANCELLED, scope.now)
    ending.cancel_if_idle(scope)
    return moved


def run_hand_back(*, claim: Claim, now: datetime | None = None) -> None:
    """A worker that must leave gives its run back; the try does not count."""
    now = now or timezone.now()
    with job_scope(claim.job.pk, now=now) as scope:
        if scope.job.status == JobStatus.CANCELLING:
            _give_up(scope, claim)
        elif scope.run_to(
            claim.run,
            RunStatus.READY,
            fence=claim.fence,
            event="stage.retrying",
            data={"code": "worker_leaving", "message": "The worker was asked to leave.", "in_seconds": 0},
            attempt=F("attempt") - 1,
            run_after=None,
            ready_at=now,
            lease_until=None,
        ):
            _attempt_end(claim, AttemptOutcome.LOST, now)


def backoff(run: StageRun, retry_after: float | None) -> float:
    """Seconds to wait: full jitter, and never less than the provider asked for."""
    policy = registry.stages()[run.stage].retry
    wait = random.uniform(0, min(policy.cap, policy.base * 2**run.attempt))  # noqa: S311 - jitter, no secret
    return max(wait, retry_after or 0.0)


def report_of(error: BaseException, stage: str) -> dict[str, Any]:
    """An error as jobs show it. What is ours to mend is told to the log, not to the user."""
    if isinstance(error, PipelineError):
        return {
            "code": error.specific_code,
            "message": error.detail[:LONGEST_TEXT],
            "stage": stage,
            "retryable": type(error).retryable,
        }
    message = f"The stage {stage} met an error that it does not know ({type(error).__name__})."
    return {"code": "internal_error", "message": message, "stage": stage, "retryable": False}


def _attempt_end(
    claim: Claim, outcome: AttemptOutcome, now: datetime, error: BaseException | None = None, code: str = ""
) -> None:
    text = ""
    if error is not None:
        known = isinstance(error, PipelineError)
        text = str(error) if known else "".join(traceback.format_exception(error))[-LONGEST_TEXT:]
    StageAttempt.objects.filter(run_id=claim.run.pk, fence=claim.fence).update(
        ended_at=now,
        outcome=outcome,
        error_class=type(error).__name__ if error else "",
        error_code=code,
        error_text=text[:LONGEST_TEXT],
    )


def _seconds(claim: Claim, now: datetime) -> float:
    return round((now - claim.started_at).total_seconds(), 3)


def attempt_lost(*, run: StageRun, now: datetime) -> None:
    """Close the try of a worker that is gone."""
    StageAttempt.objects.filter(run=run, ended_at=None).update(
        ended_at=now,
        outcome=AttemptOutcome.LOST,
        error_class="WorkerLost",
        error_code="worker_lost",
        error_text="The worker stopped answering.",
    )
