"""Runs one stage run from claim to commit, and goes on to the next."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import structlog
from django.conf import settings
from django.db import close_old_connections

from assets import storage
from jobs import metrics
from jobs.errors import StaleWrite
from jobs.execution import cache
from jobs.execution.context import RowContext
from jobs.execution.monitor import HandBack, Monitor
from jobs.failpoints import Failpoint, failpoint
from jobs.models import Job
from jobs.models.stage_run import WHOLE
from jobs.services import claims, dispatch, estimates
from jobs.services.claims import Claim, Outcome, Stored
from jobs.services.logbook import job_log_join, logbook
from jobs.services.patience import AWAY, patiently
from jobs.services.reconcile import leases_forfeit
from jobs.state import JOB_ENDED
from media_pipeline import registry
from media_pipeline.contract import Produced, StageResult
from media_pipeline.errors import Cancelled, ContractBroken, LeaseLost, PipelineError, StorageUnavailable
from media_pipeline.tools import process

TRIES = 3
log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Worker:
    """This worker process: its name and queue, its monitor, and whether it was asked to leave."""

    name: str
    queue: str
    monitor: Monitor
    leaving: bool = False


_this: list[Worker] = []


def serve_as(worker: Worker) -> None:
    """Make this process that worker."""
    _this[:] = [worker]


def run_chain(run_id: int, fence: int) -> None:
    """Run what the message names; then what the dispatcher chooses for us, until there is nothing.

    A database that goes away in between ends the chain, not the worker. What it may have given us unseen goes back.
    """
    worker = _this[0]
    close_old_connections()
    try:
        _chain(worker, run_id, fence)
    except AWAY as error:
        log.warning("worker.database_away", error=type(error).__name__)
        close_old_connections()
        patiently(lambda: leases_forfeit(worker=worker.name, gone=False))
    cache.sweep_now_and_then()


def _chain(worker: Worker, run_id: int, fence: int) -> None:
    run_once(worker, run_id, fence)
    claim = _take_next(worker)
    dispatch.dispatch_all()
    while claim is not None:
        _run(worker, claim)
        # Ours first: else a message would be sent for the worker that we are, and lie there until our chain ends.
        claim = _take_next(worker)
        dispatch.dispatch_all()


def _take_next(worker: Worker) -> Claim | None:
    """Claim what should run next; None when there is nothing, or others were quicker every time."""
    for _ in range(TRIES):
        chosen = None if worker.leaving else dispatch.choose(worker.queue)
        if chosen is None:
            return None
        claim = claims.run_claim(run_id=chosen[0], fence=chosen[1], worker=worker.name, ready=True)
        if claim is not None:
            return claim
    return None


def run_once(worker: Worker, run_id: int, fence: int) -> bool:
    """Claim, run, commit. False when the run was not to be had: an old message, or a cancelled job."""
    claim = claims.run_claim(run_id=run_id, fence=fence, worker=worker.name)
    if claim is None:
        return False
    _run(worker, claim)
    return True


def _run(worker: Worker, claim: Claim) -> None:
    """Run and commit, with all that is logged on the way marked and kept."""
    run = claim.run
    bound = {
        "job_id": str(claim.job.pk),
        "trace_id": claim.job.pk.hex,
        "stage": run.stage,
        "language": run.language,
        "shard": run.shard,
        "attempt": run.attempt,
        "worker": worker.name,
    }
    if claim.job.asset_id:
        bound["asset_id"] = str(claim.job.asset_id)
    with structlog.contextvars.bound_contextvars(**bound), _part_of_log(claim):
        job = _run_claimed(worker, claim)
    if job is not None and job.status in JOB_ENDED:
        _keep_log(job)


@contextmanager
def _part_of_log(claim: Claim) -> Iterator[None]:
    logbook.open(job_id=str(claim.job.pk), run_id=claim.run.pk, fence=claim.fence)
    try:
        yield
    finally:
        logbook.close()


def _keep_log(job: Job) -> None:
    try:
        job_log_join(job)
    except StorageUnavailable as error:
        log.warning("logbook.not_joined", error=error.detail)


def _run_claimed(worker: Worker, claim: Claim) -> Job | None:
    """Run the stage and write how it ended; the job as it then is, or None when the run was lost."""
    started = time.monotonic()
    stage = registry.stages()[claim.run.stage]
    work = settings.VAR / "work" / f"{claim.run.pk}-{claim.fence}"
    worker.monitor.begin(claim, stage.deadline.seconds(claim.run.media_seconds))
    log.info("stage.started")
    job: Job | None = None
    outcome, provider = "lost", ""
    try:
        result, spans = _run_stage(worker, claim, work, started)
        failpoint(Failpoint.STAGE_AFTER_RUN)
        kept = _store(claim, work, result)
        worker.monitor.check()
        provider = kept.provider
        job, outcome = patiently(lambda: claims.run_succeed(claim=claim, outcome=kept)), "succeeded"
        log.info("stage.succeeded", duration_ms=_ms(started), provider=kept.provider, **spans)
        _learn(claim, time.monotonic() - started)
    except (StaleWrite, LeaseLost):
        log.warning("stage.lost", duration_ms=_ms(started))
    except HandBack:
        patiently(lambda: claims.run_hand_back(claim=claim))
        outcome = "handed_back"
        log.info("stage.handed_back", duration_ms=_ms(started))
    except Cancelled:
        patiently(lambda: claims.run_cancelled(claim=claim))
        outcome = "cancelled"
        log.info("stage.cancelled", duration_ms=_ms(started))
    except Exception as error:  # whatever a stage raises ends its run, never the worker
        job, outcome = _failed(worker, claim, error, started), "failed"
    finally:
        worker.monitor.finish()
        process.kill_all()
        shutil.rmtree(work, ignore_errors=True)
        metrics.count_stage(
            pipeline=claim.job.kind,
            stage=claim.run.stage,
            provider=provider,
            outcome=outcome,
            seconds=time.monotonic() - started,
        )
        metrics.flush()
    return job


def _run_stage(worker: Worker, claim: Claim, work: Path, started: float) -> tuple[StageResult, dict[str, int]]:
    """What the stage gave; and when, after ``started``, it was entered and left: the rest is the engine's own time."""
    shutil.rmtree(work, ignore_errors=True)  # left by a worker that was killed, if the database forgot its claim
    work.mkdir(parents=True)
    stage = registry.stages()[claim.run.stage]
    ctx = RowContext(claim, work, worker.monitor.check)
    joining = claim.run.shard == WHOLE and bool(claim.run.shards_total)
    entered = _ms(started)
    result = stage.join(ctx) if joining else stage.run(ctx)
    return result, {"entered_ms": entered, "left_ms": _ms(started)}


def _failed(worker: Worker, claim: Claim, error: Exception, started: float) -> Job | None:
    """Write the failure; a tool that died because the monitor killed it failed for the monitor's reason."""
    try:
        worker.monitor.check()
    except (Cancelled, HandBack, LeaseLost) as reason:
        if isinstance(reason, Cancelled):
            patiently(lambda: claims.run_cancelled(claim=claim))
        elif isinstance(reason, HandBack):
            patiently(lambda: claims.run_hand_back(claim=claim))
        return None
    except PipelineError as reason:
        error = reason
    code = error.specific_code if isinstance(error, PipelineError) else "internal_error"
    metrics.count_failure(stage=claim.run.stage, code=code)
    known = isinstance(error, PipelineError)
    log.warning("stage.failed", code=code, error=str(error), duration_ms=_ms(started), exc_info=not known)
    try:
        return patiently(lambda: claims.run_fail(claim=claim, error=error))
    except StaleWrite:
        log.warning("stage.lost", duration_ms=_ms(started))
        return None


def _store(claim: Claim, work: Path, result: StageResult) -> Outcome:
    """Move the files to a path that holds the fence: two workers can never write the same one."""
    run = claim.run
    place = "-".join(part for part in (run.stage, run.language, str(run.shard or "")) if part)
    prefix = f"jobs/{run.job_id}/{place}/{claim.fence}"
    stored, moves = [], []
    for made in result.artifacts:
        _check_produced(claim, work, made)
        key = f"{prefix}/{made.name}"
        stored.append(
            Stored(
                name=made.name,
                type=made.type.value,
                media_type=made.media_type,
                storage_key=key,
                size=made.path.stat().st_size,
                sha256=_sha256(made.path),
                public=made.public,
            )
        )
        moves.append((key, made.path))
    storage.put_many(moves)
    failpoint(Failpoint.OUTPUTS_AFTER_STORE)
    return Outcome(
        artifacts=stored,
        facts=dict(result.facts),
        provider=result.provider,
        warnings=list(result.warnings),
        usage=dict(result.usage),
    )


def _check_produced(claim: Claim, work: Path, made: Produced) -> None:
    stage = registry.stages()[claim.run.stage]
    if made.type not in stage.produces:
        raise ContractBroken(f"{stage.name} made {made.type.value}, which it does not declare.")
    if not made.path.resolve().is_relative_to(work.resolve()) or not made.path.is_file():
        raise ContractBroken(f"{stage.name} names {made.name}, which is not a file in its work folder.")


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _learn(claim: Claim, seconds: float) -> None:
    run = claim.run
    if run.shard == WHOLE and run.shards_total:
        return  # a join says nothing about the work of the stage
    share = run.media_seconds or 0.0
    with suppress(*AWAY):
        estimates.learn(pipeline=claim.job.kind, stage=run.stage, seconds=seconds, media_seconds=share)


def _ms(started: float) -> int:
    return round((time.monotonic() - started) * 1000)
