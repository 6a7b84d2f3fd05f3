"""Everything on one machine: Redis if none is named, web, dispatcher and a pool of workers that follows the load."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field

import structlog
from django.conf import settings
from django.db import DatabaseError, close_old_connections
from django.db.models import Count

from config.environment import BASE_DIR
from jobs.execution.redis_server import EmbeddedRedis
from jobs.models import StageRun, WorkerProcess
from jobs.services.reconcile import leases_forfeit
from jobs.state import RUN_OPEN, RunStatus
from media_pipeline.tools.process import die_with_parent

log = structlog.get_logger(__name__)

LOOK_SECONDS = 0.5
SCALE_SECONDS = 2.0
IDLE_SECONDS = 60.0
"""How long a worker beyond the least is kept without work."""
RESPAWN_SECONDS = (0.0, 0.5, 1.0, 2.0, 5.0)
STOP_SECONDS = 35.0


@dataclass(frozen=True, slots=True)
class PoolSize:
    """Fewest and most workers of one queue."""

    least: int
    most: int


def pool_sizes(workers: str) -> dict[str, PoolSize]:
    """``auto`` follows the cores; a number fixes the workers of the cpu queue.

    Work on cpu uses the cores; work on io mostly waits, so that one worker beside it does no harm.
    """
    cores = os.cpu_count() or 1
    if workers == "auto":
        return {"cpu": PoolSize(min(2, cores), cores), "io": PoolSize(1, 2)}
    count = int(workers)
    return {"cpu": PoolSize(count, count), "io": PoolSize(1, 1)}


@dataclass(slots=True)
class Child:
    """One process of ours."""

    role: str
    argv: list[str]
    process: subprocess.Popen[bytes] | None = None
    failures: int = 0
    started: float = 0.0
    retry_at: float = 0.0
    idle_since: float = 0.0
    leaving: bool = False


@dataclass(slots=True)
class Supervisor:
    """Starts, watches and stops the children."""

    port: int
    host: str
    workers: str
    web: bool = True
    children: list[Child] = field(default_factory=list)
    _leaving: threading.Event = field(default_factory=threading.Event)
    _scaled: float = 0.0

    def run(self, redis_server: EmbeddedRedis | None) -> int:
        """Serve until SIGTERM or SIGINT; 0 when all left in order."""
        die_with_parent()
        for signum in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signum, lambda *_: self._leaving.set())
        if self.web:
            self.children.append(Child("web", _manage("web", "--host", self.host, "--port", str(self.port))))
        self.children.append(Child("dispatcher", _manage("dispatcher")))
        for queue, size in pool_sizes(self.workers).items():
            self.children += [self._worker(queue) for _ in range(size.least)]
        while not self._leaving.wait(LOOK_SECONDS):
            if redis_server and not redis_server.alive():
                log.error("redis.died")
                redis_server.start()
            for child in list(self.children):
                self._keep(child)
            self._scale()
        return self._stop_all()

    def _worker(self, queue: str) -> Child:
        return Child(f"worker-{queue}", _manage("worker", "--queue", queue))

    def _keep(self, child: Child) -> None:
        """Start a child that does not run, later each time that it fails at once."""
        now = time.monotonic()
        process = child.process
        if process is not None and process.poll() is None:
            return
        if process is not None:
            self._ended(child, process)
            if child.leaving:
                self.children.remove(child)
                return
        if now < child.retry_at:
            return
        child.process = subprocess.Popen(child.argv, cwd=BASE_DIR, stdin=subprocess.DEVNULL)
        child.started = now
        log.info("child.started", role=child.role, pid=child.process.pid)

    def _ended(self, child: Child, process: subprocess.Popen[bytes]) -> None:
        child.process = None
        quick = time.monotonic() - child.started < 10
        child.failures = child.failures + 1 if quick else 0
        child.retry_at = time.monotonic() + RESPAWN_SECONDS[min(child.failures, len(RESPAWN_SECONDS) - 1)]
        level = log.info if child.leaving else log.warning
        level("child.ended", role=child.role, pid=process.pid, code=process.returncode)
        if child.role.startswith("worker"):
            self._forfeit(process.pid)

    def _forfeit(self, pid: int) -> None:
        """A worker that died gives up its lease now: its run need not wait until it runs out."""
        try:
            close_old_connections()
            for name in WorkerProcess.objects.filter(pid=pid, host=os.uname().nodename).values_list("name", flat=True):
                leases_forfeit(worker=name)
        except DatabaseError as error:
            log.warning("supervisor.database_away", error=type(error).__name__)

    def _scale(self) -> None:
        """Add workers where runs wait, take away those that have been idle for a minute."""
        if self.workers != "auto" or time.monotonic() - self._scaled < SCALE_SECONDS:
            return
        self._scaled = time.monotonic()
        try:
            close_old_connections()
            rows = StageRun.objects.filter(status__in=RUN_OPEN - {RunStatus.WAITING}).values_list("queue").order_by()
            wanted = dict(rows.annotate(n=Count("pk")))
        except DatabaseError as error:
            log.warning("supervisor.database_away", error=type(error).__name__)
            return
        for queue, size in pool_sizes("auto").items():
            self._scale_queue(queue, size, wanted.get(queue, 0))

    def _scale_queue(self, queue: str, size: PoolSize, wanted: int) -> None:
        mine = [c for c in self.children if c.role == f"worker-{queue}" and not c.leaving]
        target = max(size.least, min(size.most, wanted))
        now = time.monotonic()
        if target > len(mine):
            self.children += [self._worker(queue) for _ in range(target - len(mine))]
        elif target < len(mine):
            last = mine[-1]
            last.idle_since = last.idle_since or now
            if now - last.idle_since > IDLE_SECONDS and last.process:
                last.leaving = True
                last.process.terminate()
        else:
            for child in mine:
                child.idle_since = 0.0

    def _stop_all(self) -> int:
        log.info("supervisor.leaving")
        running = [c.process for c in self.children if c.process and c.process.poll() is None]
        for process in running:
            process.terminate()
        until = time.monotonic() + STOP_SECONDS
        clean = True
        for process in running:
            try:
                process.wait(max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                clean = False
                process.kill()
                process.wait()
        return 0 if clean else 1


def _manage(*args: str) -> list[str]:
    return [sys.executable, str(BASE_DIR / "manage.py"), *args]


def start_redis() -> EmbeddedRedis | None:
    """Redis for this instance and for the children, unless one was named."""
    if os.environ.get("REDIS_URL") or os.environ.get("REDIS_URL_FILE"):
        return None
    server = EmbeddedRedis(settings.VAR)
    os.environ["REDIS_URL"] = server.start()
    settings.REDIS_URL = server.url
    return server
