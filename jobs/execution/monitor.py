"""The thread beside a worker's stage: renews the lease, hears cancels, keeps the deadline, ends what does not end."""

from __future__ import annotations

import json
import os
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import redis
import structlog
from django.conf import settings
from django.db import DatabaseError, close_old_connections
from django.utils import timezone

from jobs.models import WorkerProcess
from jobs.realtime.publish import CONTROL, once_more
from jobs.services import claims
from jobs.services.claims import Claim
from jobs.services.logbook import logbook
from media_pipeline.errors import Cancelled, LeaseLost, PipelineError, ToolTimedOut
from media_pipeline.tools import process

log = structlog.get_logger(__name__)

LOOK_SECONDS = 1.0
GRACE_SECONDS = 5.0
"""How long a stage may take to notice that it must stop, before its worker ends itself."""


class HandBack(PipelineError):
    """The worker was asked to leave; the run is given back."""

    code = "worker_leaving"


@dataclass(slots=True)
class Watch:
    """What the monitor knows of the run that is under way."""

    claim: Claim
    deadline: float
    renewed: float
    reason: type[PipelineError] | None = None
    stopped_at: float = 0.0
    announced: threading.Event = field(default_factory=threading.Event)


class Monitor(threading.Thread):
    """One for each worker process; watches at most one run at a time."""

    def __init__(self, worker: str) -> None:
        super().__init__(name="monitor", daemon=True)
        self._worker = worker
        self._watch: Watch | None = None
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._leave_by = float("inf")
        self._pubsub: Any = None
        self._seen = 0.0

    def begin(self, claim: Claim, deadline_seconds: float) -> None:
        """Watch this run from now on."""
        now = time.monotonic()
        with self._lock:
            self._watch = Watch(claim, now + deadline_seconds, renewed=now)

    def finish(self) -> None:
        """The run has ended; nothing is to be watched."""
        with self._lock:
            self._watch = None

    def check(self) -> None:
        """Raise when the run must stop. Called by the stage, often."""
        watch = self._watch
        if watch is not None and watch.reason is not None:
            raise watch.reason

    def leave_within(self, seconds: float) -> None:
        """The worker was asked to leave: what runs longer than this is given back."""
        self._leave_by = time.monotonic() + seconds

    def end(self) -> None:
        """Stop the thread."""
        self._ended.set()

    def run(self) -> None:
        """Look once a second, or as soon as a cancel is announced."""
        while not self._ended.is_set():
            self._listen()
            try:
                close_old_connections()
                self._look()
            except DatabaseError as error:
                log.warning("monitor.database_away", error=type(error).__name__)
                self._stop_if_expired()

    def _listen(self) -> None:
        """Wait for an announcement, a second at most."""
        try:
            if self._pubsub is None:
                client = redis.Redis.from_url(settings.REDIS_URL, socket_timeout=LOOK_SECONDS * 3, retry=once_more())
                self._pubsub = client.pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]
                self._pubsub.subscribe(CONTROL)
            message = self._pubsub.get_message(timeout=LOOK_SECONDS)
        except (redis.RedisError, OSError):
            self._pubsub = None
            self._ended.wait(LOOK_SECONDS)
            return
        if message and (watch := self._watch):
            cancelled = json.loads(message["data"]).get("cancel")
            if cancelled == str(watch.claim.job.pk):
                self._stop(watch, Cancelled)

    def _look(self) -> None:
        now = time.monotonic()
        if now - self._seen > settings.DRAGOMAN["HEARTBEAT"].total_seconds():
            WorkerProcess.objects.filter(name=self._worker).update(seen_at=timezone.now())
            self._seen = now
            logbook.flush()
        watch = self._watch
        if watch is None:
            return
        if watch.reason is not None:
            self._end_if_stuck(watch)
        elif reason := self._reason_to_stop(watch, now):
            self._stop(watch, reason)

    def _reason_to_stop(self, watch: Watch, now: float) -> type[PipelineError] | None:
        """Why this run must stop now; renews its lease when there is no reason and it is time."""
        run_id, fence = watch.claim.run.pk, watch.claim.fence
        held, cancelling = claims.lease_held(run_id=run_id, fence=fence)
        if not held:
            return LeaseLost
        if cancelling:
            return Cancelled
        if now > watch.deadline:
            return ToolTimedOut
        if now > self._leave_by:
            return HandBack
        if now - watch.renewed > settings.DRAGOMAN["HEARTBEAT"].total_seconds():
            if not claims.lease_renew(run_id=run_id, fence=fence):
                return LeaseLost
            watch.renewed = now
        return None

    def _stop_if_expired(self) -> None:
        """Without the database the lease cannot be renewed, and ends."""
        watch = self._watch
        if watch and time.monotonic() - watch.renewed > settings.DRAGOMAN["LEASE"].total_seconds():
            self._stop(watch, LeaseLost)

    def _stop(self, watch: Watch, reason: type[PipelineError]) -> None:
        with self._lock:
            if watch is not self._watch or watch.reason is not None:
                return
            watch.reason, watch.stopped_at = reason, time.monotonic()
        run = watch.claim.run
        log.info(
            "stage.stopping",
            reason=reason.code,
            job_id=str(watch.claim.job.pk),
            stage=run.stage,
            language=run.language,
            shard=run.shard,
            attempt=run.attempt,
            worker=self._worker,
        )
        process.kill_all()

    def _end_if_stuck(self, watch: Watch) -> None:
        """A stage that does not come back holds the worker for ever: another one takes the worker's place."""
        if time.monotonic() - watch.stopped_at > GRACE_SECONDS:
            log.error("worker.stuck", stage=watch.claim.run.stage)
            process.kill_all()
            os._exit(70)
