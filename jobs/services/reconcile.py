"""Puts right what a killed process, a lost message or a flushed Redis left behind. One process at a time does it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

import redis
import structlog
from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from jobs.failpoints import Failpoint, failpoint
from jobs.models import Election, StageRun, WorkerProcess
from jobs.services import dispatch, ending, planning
from jobs.services.claims import attempt_lost
from jobs.services.transitions import job_scope, runs_undispatch
from jobs.state import JobStatus, RunStatus

log = structlog.get_logger(__name__)

EPOCH = "dragoman:epoch"
"""A key that we set in Redis: gone, it says that Redis was flushed and every message with it."""
FORGET_WORKERS = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Repaired:
    """What one pass found."""

    leases: int = 0
    messages: int = 0
    jobs: int = 0


def elected(*, role: str, holder: str, seconds: float = 15.0, now: datetime | None = None) -> bool:
    """Whether this process holds the role; it is free again when its holder has not renewed it for ``seconds``."""
    now = now or timezone.now()
    until = now + timedelta(seconds=seconds)
    mine = Q(holder=holder) | Q(until__lt=now)
    if Election.objects.filter(mine, role=role).update(holder=holder, until=until):
        return True
    try:
        with transaction.atomic():
            Election.objects.create(role=role, holder=holder, until=until)
    except IntegrityError:
        return False
    return True


def reconcile(*, now: datetime | None = None) -> Repaired:
    """One pass. Cheap when there is nothing to do."""
    now = now or timezone.now()
    repaired = Repaired(leases=_expired_leases(now), messages=_lost_messages(now), jobs=_stuck_jobs(now))
    WorkerProcess.objects.filter(seen_at__lt=now - FORGET_WORKERS).delete()
    failpoint(Failpoint.RECONCILE_AFTER_COMMIT)
    if repaired != Repaired():
        log.info("reconcile.repaired", leases=repaired.leases, messages=repaired.messages, jobs=repaired.jobs)
    return repaired


def leases_forfeit(*, worker: str, gone: bool = True) -> int:
    """What this worker holds is free now, not in a minute: it died, or (``gone`` false) does not know what it has."""
    now = timezone.now()
    if gone:
        WorkerProcess.objects.filter(name=worker).delete()
    return StageRun.objects.filter(lease_owner=worker, status=RunStatus.RUNNING).update(lease_until=now)


def _expired_leases(now: datetime) -> int:
    expired = StageRun.objects.filter(status=RunStatus.RUNNING, lease_until__lte=now).values_list("pk", "job", "fence")
    return sum(lease_expire(run_id=pk, job_id=job, fence=fence, now=now) for pk, job, fence in expired)


def lease_expire(*, run_id: int, job_id: uuid.UUID, fence: int, now: datetime) -> bool:
    """Take a run from a worker that is gone: tried again at once, or dead after too many crashes."""
    with job_scope(job_id, now=now) as scope:
        run = StageRun.objects.filter(pk=run_id, fence=fence, status=RunStatus.RUNNING, lease_until__lte=now).first()
        if run is None:
            return False
        attempt_lost(run=run, now=now)
        if scope.job.status == JobStatus.CANCELLING:
            scope.run_to(run, RunStatus.CANCELLED, fence=fence, finished_at=now, lease_until=None)
            ending.cancel_if_idle(scope)
            return True
        crashes = run.crash_count + 1
        if crashes < settings.DRAGOMAN["MAX_CRASHES"]:
            scope.run_to(
                run,
                RunStatus.READY,
                fence=fence,
                event="stage.retrying",
                data={"code": "worker_lost", "message": "The worker stopped answering.", "in_seconds": 0},
                crash_count=crashes,
                ready_at=now,
                run_after=None,
                lease_until=None,
            )
            return True
        report = {
            "code": "worker_crashed",
            "message": f"The worker died {crashes} times in the stage {run.stage}.",
            "stage": run.stage,
            "retryable": True,
        }
        scope.run_to(
            run,
            RunStatus.DEAD,
            fence=fence,
            data={"error": report},
            crash_count=crashes,
            error=report,
            finished_at=now,
            lease_until=None,
        )
        ending.job_fail(scope, report)
    return True


def _lost_messages(now: datetime) -> int:
    """Dispatched runs whose message is gone: all of them after a flush, else those that nobody claimed in time."""
    dispatched = StageRun.objects.filter(status=RunStatus.DISPATCHED)
    try:
        client = dispatch.rq_connection()
        flushed = not client.exists(EPOCH)
        if flushed:
            client.set(EPOCH, now.isoformat())
        late = dispatched if flushed else dispatched.filter(dispatched_at__lt=now - settings.DRAGOMAN["CLAIM_WITHIN"])
        lost = []
        for queue in set(late.values_list("queue", flat=True)):
            waiting = dispatch.waiting_messages(queue)
            lost += [
                pk
                for pk, fence in late.filter(queue=queue).values_list("pk", "fence")
                if dispatch.message_id(pk, fence) not in waiting
            ]
    except redis.RedisError as error:
        log.warning("reconcile.redis_away", error=type(error).__name__)
        return 0
    return runs_undispatch(lost)


def _stuck_jobs(now: datetime) -> int:
    """Jobs being cancelled that no worker works on, and running ones in which nothing is open: an upgrade or a hand
    in the database may leave them so."""
    open_runs = (RunStatus.READY, RunStatus.DISPATCHED, RunStatus.RUNNING)
    at_work = StageRun.objects.filter(status__in=open_runs).values("job")
    stuck = (
        StageRun.objects.filter(
            job__status__in=(JobStatus.CANCELLING, JobStatus.RUNNING, JobStatus.QUEUED),
            job__created_at__lt=now - settings.DRAGOMAN["RECONCILE"],
        )
        .exclude(job__in=at_work)
        .values_list("job", flat=True)
        .distinct()
    )
    repaired = 0
    for job_id in list(stuck):
        with job_scope(job_id, now=now) as scope:
            if scope.job.status == JobStatus.CANCELLING:
                repaired += ending.cancel_if_idle(scope)
            else:
                planning.advance(scope)
                repaired += ending.end_if_done(scope)
    return repaired
