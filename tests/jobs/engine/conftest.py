"""Tiny jobs, and an engine that runs in the test's own process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from django.utils import timezone

from assets import storage
from jobs.execution.monitor import Monitor
from jobs.execution.runner import Worker, run_once
from jobs.models import Artifact, Job, JobEvent, StageRun
from jobs.services import dispatch
from jobs.services.reconcile import reconcile
from jobs.services.submission import JobRequest, job_submit
from jobs.state import JOB_ENDED, RunStatus


class Engine:
    """Dispatcher, reconciler and one worker, driven by hand, on a clock of its own."""

    def __init__(self) -> None:
        self.worker = Worker(name="here-cpu-1", queue="cpu", monitor=Monitor("here-cpu-1"))
        self.ahead = timedelta()

    @property
    def now(self) -> datetime:
        """The time, with what was slept."""
        return timezone.now() + self.ahead

    def sleep(self, seconds: float) -> None:
        """Move the clock."""
        self.ahead += timedelta(seconds=seconds)

    def work(self, *, most: int = 1000) -> int:
        """Run what is ready, and what was sent, until there is nothing; how many runs that were."""
        done = 0
        while done < most and (found := self._next()):
            done += run_once(self.worker, *found)
        return done

    def _next(self) -> tuple[int, int] | None:
        for queue in ("cpu", "io"):
            if picked := dispatch.pick(queue, 1, now=self.now):
                return picked[0]
        for message in dispatch.waiting_messages("cpu"):
            dispatch.rq_queue("cpu").remove(message)
            _, run_id, fence = message.split("-")
            return int(run_id), int(fence)
        return None

    def drain(self) -> None:
        """Bring every job to its end, whatever was left behind."""
        for _ in range(50):
            self.sleep(120)
            reconcile(now=self.now)
            self.work()
            if not Job.objects.exclude(status__in=JOB_ENDED).exists():
                return
        open_runs = StageRun.objects.filter(job__status__in=["queued", "running", "cancelling"])
        raise AssertionError(f"stuck: {list(open_runs.values('stage', 'status', 'shard', 'run_after'))}")


@pytest.fixture
def engine(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """An engine; nothing is sent, as there are no other workers."""
    monkeypatch.setattr(storage, "is_local", lambda: True)
    yield Engine()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the stages of a job look for what to do."""
    return tmp_path


@pytest.fixture
def submit(make_asset: Any, folder: Path) -> Callable[..., Job]:
    """``submit(owner, languages=("es",), **params)``: a tiny job, queued."""

    def order(owner: Any, *, languages: tuple[str, ...] = ("es",), priority: int = 20, **params: Any) -> Job:
        return job_submit(
            owner=owner,
            request=JobRequest(
                kind="tiny",
                asset_id=make_asset(owner).pk,
                source_language="en",
                target_languages=languages,
                priority=priority,
                params={"folder": str(folder), **params},
            ),
        )

    return order


def outputs_of(job: Job) -> dict[str, str]:
    """Name and content of everything that a job made."""
    return {a.name: storage.read_bytes(a.storage_key).decode() for a in Artifact.objects.filter(job=job)}


def effects_in(folder: Path) -> list[str]:
    """The runs that came to their end, in order."""
    path = folder / "effects"
    return path.read_text().split() if path.exists() else []


def seqs_of(job: Job) -> list[int]:
    """The seq of every event."""
    return list(JobEvent.objects.filter(job=job).order_by("seq").values_list("seq", flat=True))


def run_of(job: Job, stage: str, language: str = "", shard: int = 0) -> StageRun:
    """A run by its place."""
    return StageRun.objects.get(job=job, stage=stage, language=language, shard=shard)


def statuses(job: Job) -> set[str]:
    """Those of all runs."""
    return set(StageRun.objects.filter(job=job).values_list("status", flat=True))


def flush_redis(url: str) -> None:
    """FLUSHALL."""
    with redis.Redis.from_url(url) as client:
        client.flushall()


OPEN = {RunStatus.WAITING, RunStatus.READY, RunStatus.DISPATCHED, RunStatus.RUNNING}
