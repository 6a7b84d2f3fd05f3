"""How far a job is and how long it will take, learned from stages that ended."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.core.cache import cache
from django.db.models import F

from jobs.models import Job, StageRun, StageTiming
from jobs.models.stage_run import WHOLE
from jobs.state import RUN_DONE, JobStatus

GUESSES: Mapping[str, tuple[float, float]] = {
    "probe": (0.3, 0.0),
    "extract": (0.3, 0.012),
    "original": (0.3, 0.016),
    "asr": (0.2, 0.15),
    "mt": (0.5, 0.01),
    "tts": (0.3, 0.03),
    "mix": (0.5, 0.04),
    "subtitles": (0.2, 0.001),
    "package": (0.5, 0.005),
    "qc": (0.3, 0.01),
}
"""Before anything was learned: seconds in all, and for each second of media."""
MEMORY = 0.2
"""Weight of the newest sample in the moving average."""
LEAST_LEARNED = 0.05
"""Seconds; what is quicker teaches nothing."""


@dataclass(frozen=True, slots=True)
class Timings:
    """What a stage is expected to take."""

    learned: Mapping[str, tuple[float, float]]

    def seconds(self, stage: str, media_seconds: float) -> float:
        """Seconds of work for this much media."""
        fixed, slope = self.learned.get(stage) or GUESSES.get(stage, (1.0, 0.05))
        return max(0.05, fixed + slope * media_seconds)


def timings(pipeline: str) -> Timings:
    """What is known of a pipeline; read at most every ten seconds."""
    key = f"timings:{pipeline}"
    known = cache.get(key)
    if known is None:
        rows = StageTiming.objects.filter(pipeline=pipeline, samples__gt=0)
        known = {row.stage: (row.seconds, row.seconds_per_media_second) for row in rows}
        cache.set(key, known, 10)
    return Timings(known)


def learn(*, pipeline: str, stage: str, seconds: float, media_seconds: float) -> None:
    """Take a finished run into the average."""
    if seconds < LEAST_LEARNED:
        return
    fixed = GUESSES.get(stage, (min(1.0, seconds), 0.0))[0]
    slope = max(0.0, seconds - fixed) / media_seconds if media_seconds else 0.0
    fixed = min(fixed, seconds)
    row, made = StageTiming.objects.get_or_create(
        pipeline=pipeline,
        stage=stage,
        defaults={"samples": 1, "seconds": fixed, "seconds_per_media_second": slope},
    )
    if not made:
        StageTiming.objects.filter(pk=row.pk).update(
            samples=F("samples") + 1,
            seconds=F("seconds") * (1 - MEMORY) + fixed * MEMORY,
            seconds_per_media_second=F("seconds_per_media_second") * (1 - MEMORY) + slope * MEMORY,
        )


@dataclass(slots=True)
class _Work:
    """One whole run: expected seconds, and the share of it that is done."""

    seconds: float
    done: float


def _work(job: Job, runs: Iterable[Any]) -> dict[tuple[str, str], _Work]:
    expected = timings(job.kind)
    works: dict[tuple[str, str], _Work] = {}
    shards: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for run in runs:
        place = (run.stage, run.language)
        if run.shard == WHOLE:
            done = 1.0 if run.status in RUN_DONE else run.progress / 100
            works[place] = _Work(expected.seconds(run.stage, run.media_seconds), done)
        else:
            shards[place].append(run)
    for place, children in shards.items():
        if place in works and works[place].done < 1:
            total = sum(child.media_seconds or 1 for child in children)
            done = sum(
                (child.media_seconds or 1) * (1.0 if child.status in RUN_DONE else child.progress / 100)
                for child in children
            )
            works[place].done = 0.98 * done / total
    return works


def job_progress(job: Job, runs: Iterable[StageRun]) -> float:
    """0 to 100, by the seconds that each stage is expected to take."""
    works = _work(job, runs).values()
    total = sum(work.seconds for work in works)
    return round(100 * sum(work.seconds * work.done for work in works) / total, 1) if total else 0.0


def job_eta_seconds(job: Job, runs: Iterable[StageRun]) -> float | None:
    """Seconds until the job ends, if it goes on now; None when it has not begun or has ended.

    No less than the longest chain of stages that wait for each other, and no less than all the work over the cores.
    """
    if job.status not in {JobStatus.QUEUED, JobStatus.RUNNING}:
        return None
    runs = list(runs)
    works = _work(job, runs)
    cut = {(run.stage, run.language) for run in runs if run.shard != WHOLE}
    cores = os.cpu_count() or 1
    after = {entry["name"]: entry["after"] for entry in job.plan.get("stages", [])}
    longest: dict[tuple[str, str], float] = {}
    for (stage, language), work in works.items():
        left = work.seconds * (1 - work.done) / (cores if (stage, language) in cut else 1)
        before = [
            longest.get((other, of), 0.0)
            for other in after.get(stage, [])
            for of in ({language, ""} if language else {place[1] for place in works})
        ]
        longest[stage, language] = left + max(before, default=0.0)
    everything = sum(work.seconds * (1 - work.done) for work in works.values()) / cores
    return round(max(everything, max(longest.values(), default=0.0)), 1)
