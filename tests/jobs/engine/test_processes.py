"""Real workers, killed, frozen, flushed and asked to leave."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis
from django.conf import settings
from django.db import close_old_connections, connection

from jobs.models import Job, StageAttempt, StageRun, WorkerProcess
from jobs.services.cancel import job_cancel
from jobs.state import JOB_ENDED, JobStatus
from tests.die import die_with_parent
from tests.jobs.engine.conftest import effects_in, outputs_of, seqs_of

pytestmark = [pytest.mark.engine, pytest.mark.slow]
ROOT = Path(__file__).parents[3]
LEASE = 8


class Processes:
    """Workers and a dispatcher on this test's database and Redis."""

    def __init__(self, env: dict[str, str]) -> None:
        self.env = {**env, "DRAGOMAN_LEASE_SECONDS": str(LEASE), "DRAGOMAN_DRAIN_SECONDS": "3"}
        self.all: list[subprocess.Popen[bytes]] = []

    def start(self, *args: str) -> subprocess.Popen[bytes]:
        """A management command."""
        process = subprocess.Popen(
            [sys.executable, "manage.py", *args],
            cwd=ROOT,
            env=self.env,
            preexec_fn=die_with_parent,  # noqa: PLW1509  (nothing but one system call)
        )
        self.all.append(process)
        return process

    def worker(self) -> subprocess.Popen[bytes]:
        """A worker that is ready for work."""
        process = self.start("worker", "--queue", "cpu")
        until(lambda: WorkerProcess.objects.filter(pid=process.pid).exists())
        return process

    def stop(self) -> None:
        """All of them, and nothing of theirs stays."""
        families = [psutil.Process(p.pid).children(recursive=True) for p in self.all if p.poll() is None]
        for process in self.all:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
                process.wait(10)
        _, alive = psutil.wait_procs([child for family in families for child in family], timeout=5)
        assert not alive, f"outlived its worker: {alive}"


@pytest.fixture
def processes(process_env: dict[str, str]) -> Iterator[Processes]:
    """They are killed at the end."""
    running = Processes(process_env)
    yield running
    running.stop()


def until(condition: Callable[[], Any], seconds: float = 30) -> None:
    """Wait for it."""
    end = time.monotonic() + seconds
    while not condition():
        close_old_connections()
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.05)


def ended(*jobs: Job) -> Callable[[], bool]:
    """Whether all of them have."""
    return lambda: not Job.objects.filter(pk__in=[j.pk for j in jobs]).exclude(status__in=JOB_ENDED).exists()


def sound(job: Job) -> None:
    """Succeeded, with one effect and all its events."""
    job = Job.objects.get(pk=job.pk)
    assert job.status == JobStatus.SUCCEEDED, job.error
    assert seqs_of(job) == list(range(1, job.event_seq + 1))
    runs = StageRun.objects.filter(job=job)
    done = StageAttempt.objects.filter(run__in=runs, outcome="succeeded")
    assert done.count() == done.values("run").distinct().count() == runs.count()


def test_a_killed_workers_stage_goes_on(processes: Processes, user: Any, submit: Any, folder: Path) -> None:
    processes.start("dispatcher")
    first = processes.worker()
    (folder / "cut.child").touch()
    job = submit(user)
    until((folder / "cut.began").exists)
    children = psutil.Process(first.pid).children(recursive=True)
    assert children
    (folder / "cut.child").unlink()
    first.kill()
    _, alive = psutil.wait_procs(children, timeout=2)
    assert not alive, "the engine's child outlived its worker"
    processes.worker()
    until(ended(job))
    sound(job)
    assert StageAttempt.objects.filter(run__job=job, outcome="lost").count() == 1


def test_a_frozen_worker_that_wakes_changes_nothing(processes: Processes, user: Any, submit: Any, folder: Path) -> None:
    processes.start("dispatcher")
    frozen = processes.worker()
    (folder / "cut.hold").touch()
    job = submit(user)
    until((folder / "cut.began").exists)
    os.kill(frozen.pid, signal.SIGSTOP)
    (folder / "cut.hold").unlink()
    processes.worker()
    until(ended(job))
    before = (outputs_of(job), seqs_of(job))
    os.kill(frozen.pid, signal.SIGCONT)
    time.sleep(3)
    assert frozen.poll() is None
    assert (outputs_of(job), seqs_of(job)) == before
    sound(job)
    after = submit(user, word="again")
    until(ended(after))
    sound(after)


def test_cancel_ends_what_runs_within_two_seconds(processes: Processes, user: Any, submit: Any, folder: Path) -> None:
    worker = processes.worker()
    (folder / "cut.child").touch()
    job = submit(user)
    until((folder / "cut.began").exists)
    until(lambda: psutil.Process(worker.pid).children(recursive=True))
    asked = time.monotonic()
    job_cancel(job_id=job.pk)
    until(lambda: not psutil.Process(worker.pid).children(recursive=True), seconds=2)
    until(ended(job))
    assert time.monotonic() - asked < 4
    assert Job.objects.get(pk=job.pk).status == JobStatus.CANCELLED
    (folder / "cut.child").unlink()
    other = submit(user, word="other")
    until(ended(other))
    sound(other)
    assert worker.poll() is None
    assert Job.objects.get(pk=job.pk).status == JobStatus.CANCELLED


def test_a_worker_asked_to_leave_gives_back_what_is_long(
    processes: Processes, user: Any, submit: Any, folder: Path
) -> None:
    processes.start("dispatcher")
    leaving = processes.worker()
    (folder / "cut.hold").touch()
    job = submit(user)
    until((folder / "cut.began").exists)
    leaving.terminate()
    assert leaving.wait(15) == 0
    assert StageRun.objects.get(job=job, stage="cut").attempt == 0
    (folder / "cut.hold").unlink()
    processes.worker()
    until(ended(job))
    sound(job)


def test_work_queued_when_redis_is_flushed_goes_on(
    processes: Processes, make_user: Any, submit: Any, folder: Path
) -> None:
    processes.start("dispatcher")
    processes.worker()
    processes.worker()
    (folder / "first.hold").touch()
    owners = [make_user() for _ in range(5)]
    jobs = [submit(owner, word=f"w{n}") for n in range(10) for owner in owners]
    until((folder / "first.began").exists)
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        client.flushall()
    (folder / "first.hold").unlink()
    until(ended(*jobs), seconds=60)
    for job in jobs:
        sound(job)
    assert len(effects_in(folder)) == 50 * 3


def test_a_database_that_cuts_every_connection_costs_no_job(
    processes: Processes, make_user: Any, submit: Any, folder: Path
) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has no connections to cut.")
    processes.start("dispatcher")
    processes.worker()
    processes.worker()
    jobs = [submit(make_user(), word=f"w{n}") for n in range(30)]
    for _ in range(6):
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            assert cursor.fetchone()
        time.sleep(0.5)
    until(ended(*jobs), seconds=60)
    for job in jobs:
        sound(job)


def test_everything_on_one_machine_survives_its_parts(
    processes: Processes, user: Any, submit: Any, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    from tests.e2e.conftest import free_port  # noqa: PLC0415

    server = processes.start("serve", "--port", str(free_port()), "--workers", "1")
    until(lambda: WorkerProcess.objects.filter(queue="cpu").exists())
    (folder / "cut.hold").touch()
    job = submit(user)
    until((folder / "cut.began").exists)
    victim = WorkerProcess.objects.get(queue="cpu")
    os.kill(victim.pid, signal.SIGKILL)
    killed = time.monotonic()
    (folder / "cut.hold").unlink()
    parts = [(part, part.cmdline()) for part in psutil.Process(server.pid).children() if part.pid != victim.pid]
    for part, words in parts:
        if "dispatcher" in words or "web" in words:
            part.kill()
    until(ended(job), seconds=LEASE * 3)
    assert time.monotonic() - killed < 20
    sound(job)
    family = psutil.Process(server.pid).children(recursive=True)
    server.kill()
    _, alive = psutil.wait_procs(family, timeout=5)
    assert not alive, f"outlived the server: {alive}"
