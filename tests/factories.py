"""Jobs that look as the engine leaves them, without running it: fixtures for all tests of the office."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from accounts.services.api_keys import api_key_create
from assets import storage
from assets.models import Asset, AssetStatus
from jobs.models import Artifact, Job, StageRun
from jobs.services.transitions import job_scope, new_job_scope
from jobs.state import JobStatus


@pytest.fixture
def make_asset(db: None) -> Callable[..., Asset]:
    """``make_asset(owner, **fields)``: ready, with a few bytes in storage."""

    def make(owner: Any, **fields: Any) -> Asset:
        asset = Asset(
            owner=owner,
            **{
                "filename": "talk.mp4",
                "kind": "video",
                "media_type": "video/mp4",
                "size": 10,
                "sha256": "ab" * 32,
                "duration": 12.5,
                "status": AssetStatus.READY,
                **fields,
            },
        )
        asset.storage_key = f"assets/{asset.pk}/source.mp4"
        storage.put_bytes(asset.storage_key, b"0123456789")
        asset.save()
        return asset

    return make


@pytest.fixture
def make_job(make_asset: Callable[..., Asset]) -> Callable[..., Job]:
    """``make_job(owner, **fields)``: queued, its first event written, with a run for probe, and mt cut in two."""

    def make(owner: Any, **fields: Any) -> Job:
        job = Job(
            owner=owner,
            asset=fields.pop("asset", None) or make_asset(owner),
            **{
                "kind": "dub",
                "title": "A talk",
                "source_language": "en",
                "target_languages": ["es"],
                "plan": {"stages": [{"name": "probe", "after": []}, {"name": "mt", "after": ["probe"]}], "gates": []},
                **fields,
            },
        )
        job.logs_key = f"jobs/{job.pk}/log.jsonl"
        with new_job_scope(job) as scope:
            common = {"job": scope.job, "owner": owner, "queue": "cpu"}
            StageRun.objects.bulk_create(
                [
                    StageRun(**common, stage="probe", position=0, status="succeeded", attempt=1, progress=100),
                    StageRun(**common, stage="mt", language="es", position=1, status="waiting", shards_total=2),
                    StageRun(
                        **common,
                        stage="mt",
                        language="es",
                        shard=1,
                        position=1,
                        status="succeeded",
                        provider="apertium",
                    ),
                    StageRun(**common, stage="mt", language="es", shard=2, position=1, status="ready"),
                ]
            )
            scope.emit("job.queued", {"status": "queued"})
        return scope.job

    return make


@pytest.fixture
def make_artifact() -> Callable[..., Artifact]:
    """``make_artifact(job, name, content, **fields)``."""

    def make(job: Job, name: str, content: bytes, **fields: Any) -> Artifact:
        run = job.runs.filter(shard=0).order_by("position").first()
        key = f"jobs/{job.pk}/package/1/{name}"
        storage.put_bytes(key, content)
        return Artifact.objects.create(
            job=job,
            run=run,
            name=name,
            size=len(content),
            storage_key=key,
            sha256="cd" * 32,
            **{"stage": run.stage, "type": "x", "media_type": "application/octet-stream", **fields},
        )

    return make


@pytest.fixture
def emit() -> Callable[..., None]:
    """``emit(job, n)``: n more events, each in its own transaction."""

    def more(job: Job, count: int, type: str = "stage.started") -> None:
        for _ in range(count):
            with job_scope(job.pk) as scope:
                scope.emit(type, {"stage": "probe"})

    return more


@pytest.fixture
def end() -> Callable[..., None]:
    """``end(job)``: running, then succeeded."""

    def finish(job: Job, target: JobStatus = JobStatus.SUCCEEDED) -> None:
        with job_scope(job.pk) as scope:
            scope.job_to(JobStatus.RUNNING, started_at=scope.now)
        with job_scope(job.pk) as scope:
            assert scope.job_to(target, finished_at=scope.now)

    return finish


@pytest.fixture
def key_of(db: None) -> Callable[..., str]:
    """``key_of(user, *scopes)``: a new key, plain."""
    return lambda user, *scopes: api_key_create(user=user, scopes=scopes).plain


@pytest.fixture
def api(key_of: Callable[..., str]) -> Callable[..., Client]:
    """``api(user, *scopes)``: a client that sends a key of this user."""
    return lambda user, *scopes: Client(headers={"Authorization": f"Api-Key {key_of(user, *scopes)}"})
