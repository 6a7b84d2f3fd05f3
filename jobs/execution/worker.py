"""A warm worker: one process, one queue, models loaded once; RQ brings it messages."""

from __future__ import annotations

import logging
import os
import secrets
import socket
from types import FrameType

import redis
import structlog
from django.conf import settings
from django.utils import timezone
from rq import Queue
from rq.exceptions import InvalidJobOperation, NoSuchJobError
from rq.job import Job
from rq.utils import now
from rq.worker import SimpleWorker

from config.logs import json_formatter
from jobs import metrics
from jobs.execution.monitor import Monitor
from jobs.execution.runner import Worker, serve_as
from jobs.models import WorkerProcess
from jobs.services import dispatch
from jobs.services.logbook import LogbookHandler
from jobs.services.reconcile import leases_forfeit
from media_pipeline import registry
from media_pipeline.providers.calls import observe
from media_pipeline.tools.process import die_with_parent

log = structlog.get_logger(__name__)

WORKER_TTL = 120


class WarmWorker(SimpleWorker):
    """RQ's SimpleWorker on one queue, with our draining: on SIGTERM what runs may end within the grace period."""

    ours: Worker

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        """Finish or give back what runs, then leave. An idle worker leaves at once."""
        self.ours.leaving = True
        self.ours.monitor.leave_within(settings.DRAGOMAN["DRAIN"].total_seconds())
        self._shutdown_requested_date = now()
        self._shutdown()  # type: ignore[no-untyped-call]

    def execute_job(self, job: Job, queue: Queue) -> None:
        """Run what the message names. A Redis that was flushed or went away meanwhile does not end the worker: what
        was done stands in the database, and the message is of no more use."""
        try:
            super().execute_job(job, queue)
        except (redis.RedisError, InvalidJobOperation, NoSuchJobError) as error:
            log.warning("worker.message_gone", message=job.id, error=type(error).__name__)

    def request_force_stop(self, signum: int, frame: FrameType | None) -> None:
        """Asked again: the same grace. RQ would raise in the middle of a stage here."""


def work(queue: str, *, load: bool = True) -> None:
    """Serve one queue until asked to leave."""
    die_with_parent()
    name = f"{socket.gethostname()}-{queue}-{os.getpid()}-{secrets.token_hex(2)}"
    monitor = Monitor(name)
    ours = Worker(name=name, queue=queue, monitor=monitor)
    serve_as(ours)
    if load:
        _load_providers()
    connection = redis.Redis.from_url(settings.REDIS_URL, socket_connect_timeout=settings.REDIS_TIMEOUT)
    rq_worker = WarmWorker(
        [Queue(queue, connection=connection)], name=name, connection=connection, worker_ttl=WORKER_TTL
    )
    rq_worker.ours = ours
    started = timezone.now()
    WorkerProcess.objects.create(
        name=name, queue=queue, host=socket.gethostname(), pid=os.getpid(), started_at=started, seen_at=started
    )
    keep_logs()
    observe(metrics.count_call)
    monitor.start()
    structlog.contextvars.bind_contextvars(worker=name)
    log.info("worker.started", queue=queue)
    dispatch.dispatch_all()
    try:
        rq_worker.work(with_scheduler=False, logging_level="WARNING")
    finally:
        monitor.end()
        leases_forfeit(worker=name)
        metrics.flush()
        log.info("worker.left", queue=queue)


def keep_logs() -> None:
    """From now on, what is logged about the job at work is also kept in its own log."""
    handler = LogbookHandler()
    handler.setFormatter(json_formatter())
    logging.getLogger().addHandler(handler)


def _load_providers() -> None:
    """Ask every provider once what it can do: the answers that need a process are kept."""
    registry.stages()
    for state in registry.router().states():
        log.debug("provider.seen", provider=state.id, ready=state.capabilities.ready)
