"""Chooses what runs next, from the database, and puts a message for it into Redis.

Redis is kept shallow: there is a message only for a worker that is idle; a busy one takes its next run itself when it
has ended the one before (``choose``). So what runs next is decided as late as can be: a new priority, a cancelled
job or a new owner counts at once.

The order: the owner with the least work in flight for its weight, then priority, then age. Limits are part of the
choice, not a filter after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import redis
import structlog
from django.conf import settings
from django.db import connection
from django.utils import timezone
from rq import Queue as RqQueue

from jobs.failpoints import Failpoint, failpoint
from jobs.realtime.publish import once_more
from jobs.services.transitions import runs_dispatch

log = structlog.get_logger(__name__)

TASK = "jobs.tasks.run_stage"
QUEUES = ("cpu", "gpu", "io", "control")
WORKER_SEEN = timedelta(seconds=45)
"""A worker that was not seen for this long has no slot."""

OWNERS_WITH_WORK = """
WITH RECURSIVE owners(owner_id) AS (
    SELECT * FROM (
        SELECT owner_id FROM jobs_stagerun WHERE status = 'ready' AND queue = %s ORDER BY owner_id LIMIT 1
    ) AS first_owner
    UNION ALL
    SELECT (
        SELECT r.owner_id FROM jobs_stagerun r
        WHERE r.status = 'ready' AND r.queue = %s AND r.owner_id > owners.owner_id
        ORDER BY r.owner_id LIMIT 1
    ) FROM owners WHERE owners.owner_id IS NOT NULL
)
SELECT first.id, first.fence, first.priority, COALESCE(first.ready_at, %s), u.weight, (
    SELECT COUNT(*) FROM jobs_stagerun f
    WHERE f.status IN ('dispatched', 'running') AND f.queue = %s AND f.owner_id = first.owner_id
)
FROM owners o
JOIN jobs_stagerun first ON first.id = (
    SELECT r.id FROM jobs_stagerun r
    WHERE r.status = 'ready' AND r.queue = %s AND r.owner_id = o.owner_id
      AND (r.run_after IS NULL OR r.run_after <= %s)
    ORDER BY r.priority, r.ready_at, r.id LIMIT 1
)
JOIN accounts_user u ON u.id = first.owner_id
"""
"""The first ready run of each owner, and how many of theirs are in flight: two index probes an owner, however many
runs wait."""

IDLE_WITH_WORK = """
SELECT w.queue, COUNT(*) - (
    SELECT COUNT(*) FROM jobs_stagerun f WHERE f.status IN ('dispatched', 'running') AND f.queue = w.queue
)
FROM jobs_workerprocess w
WHERE w.seen_at > %s AND EXISTS (
    SELECT 1 FROM jobs_stagerun r
    WHERE r.status = 'ready' AND r.queue = w.queue AND (r.run_after IS NULL OR r.run_after <= %s)
)
GROUP BY w.queue
"""
"""For each queue with work, how many of its living workers have nothing to do and no message on its way."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """An owner's first ready run and what the choice depends on. Ordered as it is chosen."""

    load: float
    priority: int
    ready_at: Any
    """As the database has it."""
    run_id: int
    fence: int
    in_flight: int
    weight: float


def candidates(queue: str, now: datetime) -> list[Candidate]:
    """Each owner's first ready run, best first; owners at their limit are left out."""
    moment = connection.ops.adapt_datetimefield_value(now)
    with connection.cursor() as cursor:
        cursor.execute(OWNERS_WITH_WORK, [queue, queue, moment, queue, queue, moment])
        rows = cursor.fetchall()
    most = settings.DRAGOMAN["SLOTS_PER_OWNER"]
    found = [
        Candidate(in_flight / max(weight, 0.01), priority, ready_at, run_id, fence, in_flight, weight)
        for run_id, fence, priority, ready_at, weight, in_flight in rows
        if not most or in_flight < most
    ]
    return sorted(found, key=lambda c: (c.load, c.priority, c.ready_at, c.run_id))


def pick(queue: str, count: int, *, now: datetime | None = None) -> list[tuple[int, int]]:
    """Move up to ``count`` ready runs of a queue to dispatched, the fairest first; (run, fence) of each."""
    now = now or timezone.now()
    moved: list[tuple[int, int]] = []
    while len(moved) < count:
        chosen = _fairest(candidates(queue, now), count - len(moved))
        got = runs_dispatch(chosen, now=now) if chosen else []
        if not got:
            break
        moved += got
    return moved


def _fairest(found: Sequence[Candidate], count: int) -> list[tuple[int, int]]:
    """Run and fence of the first candidates, up to the one before which an owner that was just served would be served
    again."""
    chosen: list[tuple[int, int]] = []
    served = float("inf")
    for candidate in found[:count]:
        if candidate.load > served:
            break
        chosen.append((candidate.run_id, candidate.fence))
        served = min(served, (candidate.in_flight + 1) / max(candidate.weight, 0.01))
    return chosen


def choose(queue: str, *, now: datetime | None = None) -> tuple[int, int] | None:
    """Run and fence of what a worker that asks for itself should claim next; nothing is moved and no message sent."""
    return next(iter(_fairest(candidates(queue, now or timezone.now()), 1)), None)


def idle_with_work(now: datetime) -> dict[str, int]:
    """For each queue with work, how many of its workers could take some."""
    moments = [connection.ops.adapt_datetimefield_value(moment) for moment in (now - WORKER_SEEN, now)]
    with connection.cursor() as cursor:
        cursor.execute(IDLE_WITH_WORK, moments)
        return {queue: free for queue, free in cursor.fetchall() if free > 0}


def dispatch_all(*, now: datetime | None = None) -> int:
    """Send a message for every idle worker that there is work for; how many were sent.

    Redis away is no error: the runs go back and the next tick sends them.
    """
    now = now or timezone.now()
    return sum(send(queue, pick(queue, free, now=now)) for queue, free in idle_with_work(now).items())


def send(queue: str, runs: Sequence[tuple[int, int]]) -> int:
    """Put the messages into Redis. What could not be sent stays dispatched, and the reconciler finds it."""
    if not runs:
        return 0
    failpoint(Failpoint.DISPATCH_AFTER_COMMIT)
    try:
        rq = rq_queue(queue)
        for run_id, fence in runs:
            rq.enqueue(
                TASK, run_id, fence, job_id=message_id(run_id, fence), result_ttl=0, failure_ttl=0, job_timeout=-1
            )
    except redis.RedisError as error:
        log.warning("dispatch.redis_away", queue=queue, runs=len(runs), error=type(error).__name__)
        return 0
    failpoint(Failpoint.DISPATCH_AFTER_ENQUEUE)
    return len(runs)


def message_id(run_id: int, fence: int) -> str:
    """The id of the message for a run: names the run and the fence that it was sent with."""
    return f"run-{run_id}-{fence}"


@cache
def rq_queue(queue: str) -> RqQueue:
    """The RQ queue of this name."""
    return RqQueue(queue, connection=rq_connection())


@cache
def rq_connection() -> redis.Redis:
    """The client that RQ uses to send; RQ keeps bytes in it, so it does not decode."""
    return redis.Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=settings.REDIS_TIMEOUT,
        socket_connect_timeout=settings.REDIS_TIMEOUT,
        retry=once_more(),
    )


def waiting_messages(queue: str) -> set[str]:
    """Ids of the messages that no worker has taken yet. Raises redis.RedisError."""
    return set(rq_queue(queue).job_ids)
