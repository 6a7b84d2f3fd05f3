"""Machines that share nothing but database, Redis and a bucket; each has a disk of its own."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from assets import storage
from config import environment
from jobs.models import Artifact
from tests.jobs.engine.test_processes import Processes, ended, sound, until
from tests.objects import ObjectServer, object_server

pytestmark = [pytest.mark.engine, pytest.mark.slow]
ALWAYS = {"timestamp", "level", "event", "trace_id", "job_id", "asset_id", "stage", "language", "shard", "attempt"}


@pytest.fixture
def bucket(settings: Any) -> Iterator[ObjectServer]:
    """This process's storage too."""
    with object_server() as server:
        settings.STORAGES = {**settings.STORAGES, "default": environment.storage(server.url, Path())}
        yield server


@pytest.fixture
def machines(process_env: dict[str, str], bucket: ObjectServer, tmp_path: Path) -> Iterator[Processes]:
    """Processes that log what they do."""
    running = Processes({**process_env, "STORAGE_URL": bucket.url, "DRAGOMAN_LOG_LEVEL": "INFO"})
    yield running
    running.stop()


def start_web(machines: Processes) -> str:
    """Its address, once it answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    machines.start("web", "--port", str(port))
    address = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        try:
            return httpx.get(f"{address}/readyz").status_code == 200
        except httpx.TransportError:
            return False

    until(answers)
    return address


def test_what_a_worker_did_is_seen_everywhere(
    machines: Processes,
    bucket: ObjectServer,
    user: Any,
    submit: Any,
    key_of: Any,
    folder: Path,
    tmp_path: Path,
) -> None:
    for role in (["dispatcher"], ["worker", "--queue", "cpu"]):
        machines.env["DRAGOMAN_VAR"] = str(tmp_path / role[0])
        machines.start(*role)
    (folder / "first.fail").write_text("1")
    job = submit(user, shards=2)
    until(ended(job))
    sound(job)
    job.refresh_from_db()
    until(lambda: storage.exists(job.logs_key))
    kept = {f"dragoman/{key}" for key in Artifact.objects.filter(job=job).values_list("storage_key", flat=True)}
    assert kept
    assert kept <= bucket.names()
    assert not (tmp_path / "worker" / "storage").exists()
    machines.stop()

    machines.env["DRAGOMAN_VAR"] = str(tmp_path / "web")
    address = start_web(machines)
    text = httpx.get(f"{address}/metrics").text
    runs = 'dragoman_stage_runs_total{outcome="%s",pipeline="tiny",provider="",stage="%s"} %s'
    assert runs % ("failed", "first", "1.0") in text
    assert runs % ("succeeded", "first", "1.0") in text
    assert runs % ("succeeded", "cut", "3.0") in text  # two shards and their join
    assert 'dragoman_stage_failures_total{code="busy",stage="first"} 1.0' in text
    assert 'dragoman_stage_duration_seconds_count{pipeline="tiny",provider="",stage="last"}' in text
    assert 'dragoman_jobs{kind="tiny",status="succeeded"} 1.0' in text
    assert "django_http_requests_total_by_method_total" in text
    checked = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")

    key = key_of(user)
    answer = httpx.get(f"{address}/api/v1/jobs/{job.pk}/logs", headers={"Authorization": f"Api-Key {key}"})
    assert answer.status_code == 200
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert [line["timestamp"] for line in lines] == sorted(line["timestamp"] for line in lines)
    of_stages = [line for line in lines if line["event"].startswith("stage.")]
    assert all(line.keys() >= ALWAYS | {"worker"} for line in of_stages)
    assert {line["job_id"] for line in lines} == {str(job.pk)}
    told = [(line["stage"], line["event"], line["attempt"]) for line in of_stages if line["shard"] == 0]
    assert told[:4] == [
        ("first", "stage.started", 1),
        ("first", "stage.failed", 1),
        ("first", "stage.started", 2),
        ("first", "stage.succeeded", 2),
    ]
    assert all(line["duration_ms"] >= 0 for line in of_stages if line["event"] != "stage.started")
    assert job.params["word"] not in answer.text
    assert key not in answer.text
