"""Reads jobs for others, with a number of queries that does not depend on how many there are."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import Count, Exists, Max, Min, OuterRef, Q, QuerySet

from accounts.models import User
from assets.selectors import asset_json
from jobs.models import Artifact, Job, JobEvent, StageAttempt, StageRun
from jobs.models.stage_run import WHOLE
from jobs.services.estimates import job_eta_seconds
from jobs.state import JOB_ENDED, JOB_OPEN, JOB_RETRYABLE, RUN_DONE, RUN_OPEN, Priority, RunStatus

HLS_MASTER = "hls/master.m3u8"
BASE = "/api/v1/jobs"
RUN_FIELDS = (
    "id", "job_id", "stage", "language", "shard", "shards_total", "position", "media_seconds", "status", "progress",
    "progress_data", "cached", "attempt", "started_at", "finished_at", "provider", "cost_cents", "outputs",
)  # fmt: skip

Place = tuple[uuid.UUID, str, str]


@dataclass(frozen=True, slots=True)
class ShardCount:
    """Of one stage in one language."""

    done: int
    total: int
    attempts: int
    provider: str
    began: datetime | None = None


@dataclass(slots=True)
class Related:
    """What belongs to a page of jobs."""

    runs: dict[uuid.UUID, list[StageRun]] = field(default_factory=lambda: defaultdict(list))
    shards: dict[Place, ShardCount] = field(default_factory=dict)
    names: dict[uuid.UUID, list[str]] = field(default_factory=lambda: defaultdict(list))


@dataclass(frozen=True, slots=True)
class JobFilter:
    """What a list is narrowed by; empty means any."""

    status: Sequence[str] = ()
    kind: Sequence[str] = ()
    language: str = ""
    q: str = ""
    created_after: datetime | None = None
    created_before: datetime | None = None


def jobs_visible_to(user: User) -> QuerySet[Job]:
    """A user's own; all for operators."""
    found = Job.objects.select_related("owner", "asset")
    return found if user.is_operator else found.filter(owner=user)


def jobs_filtered(jobs: QuerySet[Job], wanted: JobFilter) -> QuerySet[Job]:
    """Those that fit. ``language`` is a target or the source; ``q`` is in the title or the file's name."""
    if wanted.status:
        jobs = jobs.filter(status__in=wanted.status)
    if wanted.kind:
        jobs = jobs.filter(kind__in=wanted.kind)
    if wanted.language:
        # SQLite has no containment for JSON lists; a code in quotes is found as text on both databases
        quoted = f'"{wanted.language}"'
        jobs = jobs.filter(Q(source_language=wanted.language) | Q(target_languages__icontains=quoted))
    if wanted.q:
        jobs = jobs.filter(Q(title__icontains=wanted.q) | Q(asset__filename__icontains=wanted.q))
    if wanted.created_after:
        jobs = jobs.filter(created_at__gt=wanted.created_after)
    if wanted.created_before:
        jobs = jobs.filter(created_at__lt=wanted.created_before)
    return jobs


def jobs_json(jobs: Sequence[Job]) -> list[dict[str, Any]]:
    """The public form of many jobs, in three queries beside the one that read them."""
    related = _related(jobs)
    return [_job_json(job, related) for job in jobs]


def job_json(job: Job) -> dict[str, Any]:
    """The public form of one job, with its history."""
    return {**_job_json(job, _related([job])), "history": job_history(job)}


def job_history(job: Job) -> list[dict[str, Any]]:
    """All attempts, oldest first."""
    attempts = StageAttempt.objects.filter(run__job=job).select_related("run").order_by("started_at", "id")
    return [
        {
            "stage": attempt.run.stage,
            "language": attempt.run.language or None,
            "shard": attempt.run.shard or None,
            "number": attempt.number,
            "worker": attempt.worker,
            "started_at": attempt.started_at,
            "ended_at": attempt.ended_at,
            "outcome": attempt.outcome,
            "error": {"code": attempt.error_code, "text": attempt.error_text} if attempt.error_code else None,
        }
        for attempt in attempts
    ]


def artifact_json(artifact: Artifact) -> dict[str, Any]:
    """The public form of an artifact."""
    return {
        "id": str(artifact.pk),
        "name": artifact.name,
        "stage": artifact.stage,
        "language": artifact.language or None,
        "media_type": artifact.media_type,
        "size": artifact.size,
        "sha256": artifact.sha256,
        "created_at": artifact.created_at,
        "url": f"{BASE}/{artifact.job_id}/artifacts/{artifact.pk}/content",
    }


def artifacts_listed(job: Job) -> QuerySet[Artifact]:
    """The public ones, one of each name (the last); of the HLS tree only its master."""
    found = _listed(Artifact.objects.filter(job=job))
    later = found.filter(name=OuterRef("name"), run__position__gt=OuterRef("run__position"))
    return found.filter(~Exists(later)).order_by("run__position", "language", "name")


def artifact_named(job: Job, name: str) -> Artifact | None:
    """The last one of this name in the pipeline's order: later stages complete what earlier ones began."""
    found = Artifact.objects.filter(job=job, name=name, shard=WHOLE)
    return found.order_by("-run__position", "-created_at").first()


def events_after(job_id: uuid.UUID, after: int, limit: int) -> list[JobEvent]:
    """Events with a higher seq, in order."""
    return list(JobEvent.objects.filter(job_id=job_id, seq__gt=after).order_by("seq")[:limit])


def _listed(artifacts: QuerySet[Artifact]) -> QuerySet[Artifact]:
    return artifacts.filter(public=True, shard=WHOLE).filter(~Q(name__startswith="hls/") | Q(name=HLS_MASTER))


def _related(jobs: Sequence[Job]) -> Related:
    related = Related()
    ids = [job.pk for job in jobs]
    if not ids:
        return related
    open_ids = [job.pk for job in jobs if job.status in JOB_OPEN]
    runs = StageRun.objects.filter(Q(job__in=ids, shard=WHOLE) | Q(job__in=open_ids)).only(*RUN_FIELDS)
    for run in runs.order_by("position", "language", "shard"):
        related.runs[run.job_id].append(run)
    counts = (
        StageRun.objects.filter(job__in=ids, shard__gt=WHOLE)
        .order_by()
        .values("job_id", "stage", "language")
        .annotate(
            total=Count("id"),
            done=Count("id", filter=Q(status__in=RUN_DONE)),
            most=Max("attempt"),
            by=Max("provider"),
            began=Min("started_at"),
        )
    )
    for row in counts:
        place = (row["job_id"], row["stage"], row["language"])
        related.shards[place] = ShardCount(row["done"], row["total"], row["most"], row["by"], row["began"])
    for job_id, name in _listed(Artifact.objects.filter(job__in=ids)).order_by("name").values_list("job_id", "name"):
        if name not in related.names[job_id]:
            related.names[job_id].append(name)
    return related


def _job_json(job: Job, related: Related) -> dict[str, Any]:
    runs = related.runs[job.pk]
    whole = [run for run in runs if run.shard == WHOLE]
    link = f"{BASE}/{job.pk}"
    names = related.names[job.pk]
    cents = sum(run.cost_cents for run in whole)
    return {
        "id": str(job.pk),
        "kind": job.kind,
        "title": job.title,
        "status": job.status,
        "progress": round(job.progress, 1),
        "eta_seconds": job_eta_seconds(job, runs) if job.status in JOB_OPEN else None,
        "throughput": _throughput(whole),
        "priority": Priority(job.priority).label,
        "owner": {"id": str(job.owner_id), "email": job.owner.email},
        "asset": asset_json(job.asset) if job.asset else None,
        "source_language": job.source_language,
        "target_languages": job.target_languages,
        "params": job.params,
        "batch": None,
        "stages": [_stage_json(run, related.shards.get((job.pk, run.stage, run.language))) for run in whole],
        "history": [],
        "error": _error_json(job),
        "warnings": job.warnings,
        "result": _result_json(job, whole, link) if job.status == "succeeded" else None,
        "available_outputs": names,
        "logs_key": job.logs_key or None,
        "metrics": job.usage,
        "cost": {"estimated": None, "actual": round(cents / 100, 4)},
        "created_at": job.created_at,
        "started_at": job.started_at,
        "finished_at": job.finished_at,
        "links": {
            "self": link,
            "stream": f"{link}/stream",
            "events": f"{link}/events",
            "artifacts": f"{link}/artifacts",
            "playback": f"{link}/playback" if HLS_MASTER in names else None,
        },
    }


def _stage_json(run: StageRun, shards: ShardCount | None) -> dict[str, Any]:
    """A stage whose shards are at work is running, and began when the first of them did."""
    status, progress, started = run.status, run.progress, run.started_at
    if shards and shards.began:
        started = min(shards.began, started or shards.began)
        if run.status in RUN_OPEN:
            status, progress = RunStatus.RUNNING.value, max(progress, 98.0 * shards.done / shards.total)
    seconds = None
    if started and run.finished_at:
        seconds = round((run.finished_at - started).total_seconds(), 3)
    return {
        "stage": run.stage,
        "language": run.language or None,
        "status": status,
        "progress": 100.0 if run.status in RUN_DONE else round(progress, 1),
        "cached": run.cached,
        "attempts": max(run.attempt, shards.attempts if shards else 0),
        "shards": {"done": shards.done, "total": shards.total} if shards else None,
        "started_at": started,
        "finished_at": run.finished_at,
        "duration_seconds": seconds,
        "provider": run.provider or (shards.provider if shards else "") or None,
    }


def _error_json(job: Job) -> dict[str, Any] | None:
    if not job.error:
        return None
    error = job.error
    return {
        "code": error.get("code"),
        "message": error.get("message"),
        "stage": error.get("stage"),
        "retryable": bool(error.get("retryable", job.status in JOB_RETRYABLE)),
    }


def _throughput(whole: Sequence[StageRun]) -> dict[str, Any] | None:
    """Of the stage that runs now, as it last reported."""
    for run in whole:
        data = run.progress_data or {}
        if run.status == "running" and run.started_at and data.get("done") and data.get("unit"):
            rate = data.get("rate")
            if rate is not None:
                return {"value": rate, "unit": f"{data['unit']}/s"}
    return None


def _result_json(job: Job, whole: Sequence[StageRun], link: str) -> dict[str, Any]:
    facts = {run.stage: (run.outputs or {}).get("facts", {}) for run in whole if not run.language}
    seconds = None
    if job.started_at and job.finished_at:
        seconds = round((job.finished_at - job.started_at).total_seconds(), 3)
    return {
        "source_language": facts.get("asr", {}).get("language", job.source_language),
        "segments": facts.get("asr", {}).get("segments"),
        "duration": facts.get("probe", {}).get("duration", job.asset.duration if job.asset else None),
        "seconds": seconds,
        "playback": f"{link}/playback",
    }


def job_counts(user: User) -> dict[str, Any]:
    """For ``/stats``: counts by status and kind, work done in the last day, seconds waited and run."""
    jobs = jobs_visible_to(user).select_related(None).order_by()
    by_status = dict(jobs.values_list("status").annotate(n=Count("id")))
    by_kind = dict(jobs.values_list("kind").annotate(n=Count("id")))
    return {"by_status": by_status, "by_kind": by_kind, "total": sum(by_status.values())}


def jobs_ended_since(user: User, since: datetime) -> list[tuple[datetime, datetime | None, datetime]]:
    """(created, started, finished) of jobs that ended after ``since``; at most 10,000, newest first."""
    jobs = jobs_visible_to(user).select_related(None)
    rows = jobs.filter(status__in=JOB_ENDED, finished_at__gte=since).order_by("-finished_at")
    return [(c, s, f) for c, s, f in rows.values_list("created_at", "started_at", "finished_at")[:10_000] if f]
