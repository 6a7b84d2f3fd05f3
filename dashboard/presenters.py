"""What the pages show of a job, made of its public form: the same facts that programs get."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from jobs.models import Job
from jobs.selectors import HLS_MASTER, artifact_json, artifacts_listed, job_json, jobs_json
from jobs.services.retry import resumable_stages
from jobs.state import JOB_OPEN, JOB_RETRYABLE, JobStatus
from media_pipeline import languages

STAGES: Mapping[str, str] = {
    "probe": "Look at the file",
    "extract": "Take out the sound",
    "original": "Prepare the original",
    "asr": "Hear the words",
    "mt": "Translate",
    "tts": "Speak",
    "mix": "Mix",
    "subtitles": "Subtitle",
    "package": "Package",
    "qc": "Check",
}
QUIET_OUTCOMES = frozenset({"running", "succeeded"})


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the list."""

    id: str
    title: str
    kind: str
    source: str
    targets: list[str]
    status: str
    is_open: bool
    progress: float
    error: str
    length: str
    created_at: Any
    owner: str


@dataclass(frozen=True, slots=True)
class Cell:
    """A stage in one language, or in none."""

    language: str
    language_name: str
    status: str
    progress: float
    took: str
    provider: str
    shards: Mapping[str, int] | None
    attempts: int


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage with its languages side by side."""

    name: str
    label: str
    cells: list[Cell] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Page:
    """Everything on a job's page. ``seq`` is that of the last event which it shows."""

    id: str
    seq: int
    title: str
    kind: str
    source: str
    targets: list[str]
    length: str
    status: str
    priority: str
    is_open: bool
    progress: float
    eta: str
    took: str
    error: Mapping[str, Any] | None
    warnings: list[str]
    stages: list[Stage]
    artifacts: list[dict[str, Any]]
    failures: list[dict[str, Any]]
    playable: bool
    can_cancel: bool
    can_retry: bool
    retry_label: str
    resumable: list[str]
    links: Mapping[str, Any]


def rows_of(jobs: list[Job]) -> list[Row]:
    """The lines of a list."""
    return [
        Row(
            id=found["id"],
            title=found["title"] or "Untitled",
            kind=found["kind"],
            source=language_label(found["source_language"]),
            targets=[language_label(code) for code in found["target_languages"]],
            status=found["status"],
            is_open=found["status"] in JOB_OPEN,
            progress=found["progress"],
            error=(found["error"] or {}).get("message") or "",
            length=duration_text(found["asset"]["duration"]) if found["asset"] else "",
            created_at=found["created_at"],
            owner=found["owner"]["email"],
        )
        for found in jobs_json(jobs)
    ]


def page_of(job: Job) -> Page:
    """The page of one job."""
    seq = job.event_seq  # read before the rest: an event that comes between is shown twice, never missed
    found = job_json(job)
    seconds = (job.finished_at - job.started_at).total_seconds() if job.finished_at and job.started_at else None
    return Page(
        id=found["id"],
        seq=seq,
        title=found["title"] or "Untitled",
        kind=found["kind"],
        source=language_label(found["source_language"]),
        targets=[language_label(code) for code in found["target_languages"]],
        length=duration_text(found["asset"]["duration"]) if found["asset"] else "",
        status=found["status"],
        priority=found["priority"],
        is_open=job.status in JOB_OPEN,
        progress=found["progress"],
        eta=duration_text(found["eta_seconds"]),
        took=duration_text(seconds),
        error=found["error"],
        warnings=found["warnings"],
        stages=_stages(found["stages"]),
        artifacts=[artifact_json(artifact) for artifact in artifacts_listed(job)],
        failures=[attempt for attempt in found["history"] if attempt["outcome"] not in QUIET_OUTCOMES],
        playable=HLS_MASTER in found["available_outputs"],
        can_cancel=job.status in JOB_OPEN and job.status != JobStatus.CANCELLING,
        can_retry=job.status in JOB_RETRYABLE,
        retry_label="Redo" if job.status == JobStatus.SUCCEEDED else "Try again",
        resumable=resumable_stages(job) if job.status in JOB_RETRYABLE else [],
        links=found["links"],
    )


def transcripts_of(job: Job) -> list[dict[str, str]]:
    """Languages of the watch page: code, name, direction, and where their segments are."""
    source = "en" if job.source_language == "auto" else job.source_language
    link = f"/api/v1/jobs/{job.pk}/segments"
    found = [(source, link), *((code, f"{link}/{code}") for code in job.target_languages)]
    return [
        {"code": code, "name": languages.native_name(code), "direction": languages.direction(code), "path": path}
        for code, path in found
    ]


def language_label(code: str) -> str:
    """A language as the pages name it."""
    return "any language" if code == "auto" else languages.english_name(code)


def duration_text(seconds: float | None) -> str:
    """``58 s``, ``1 min 35 s``, ``2 h 5 min``; nothing for None."""
    if seconds is None:
        return ""
    whole = max(1, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _stages(entries: list[dict[str, Any]]) -> list[Stage]:
    stages: dict[str, Stage] = {}
    for entry in entries:
        stage = stages.setdefault(entry["stage"], Stage(entry["stage"], STAGES.get(entry["stage"], entry["stage"])))
        language = entry["language"] or ""
        stage.cells.append(
            Cell(
                language=language,
                language_name=language_label(language) if language else "",
                status=entry["status"],
                progress=entry["progress"],
                took=_stage_time(entry["duration_seconds"]),
                provider=entry["provider"] or "",
                shards=entry["shards"],
                attempts=entry["attempts"],
            )
        )
    return list(stages.values())


def _stage_time(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f"{seconds:.1f} s" if seconds < 10 else duration_text(seconds)
