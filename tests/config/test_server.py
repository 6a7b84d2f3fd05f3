"""Health, figures, schema, docs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import redis
import yaml
from django.core.management import call_command
from django.test import Client

from jobs import errors as jobs_errors

OPENAPI = Path(__file__).parents[2] / "docs" / "openapi.yaml"


def test_alive_and_ready(db: None, client: Client) -> None:
    assert client.get("/livez").json() == {"status": "ok"}
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json()["checks"] == {"database": "ok", "redis": "ok", "storage": "ok"}
    assert answer.json()["workers"] == 0


def test_not_ready_without_redis(db: None, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = redis.Redis(port=1, retry=None)
    monkeypatch.setattr("config.health.client", lambda: nowhere)
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["checks"]["redis"] == "failed"
    assert answer["Retry-After"]
    assert client.get("/livez").status_code == 200


def test_metrics_are_exported(db: None, client: Client) -> None:
    assert b"django_http_requests" in client.get("/metrics").content


def test_docs_and_schema_are_open(db: None, client: Client) -> None:
    assert client.get("/api/docs").status_code == 200
    schema = client.get("/api/schema?format=json").json()
    assert schema["openapi"].startswith("3.1")
    for path, verbs in schema["paths"].items():
        for verb, operation in verbs.items():
            assert operation["operationId"], (verb, path)
            assert "application/problem+json" in operation["responses"]["401"]["content"], (verb, path)
            assert operation["security"], (verb, path)


def test_the_committed_schema_is_that_of_the_code(tmp_path: Path) -> None:
    now = tmp_path / "openapi.yaml"
    call_command("spectacular", "--fail-on-warn", "--validate", "--file", str(now))
    committed: dict[str, Any] = yaml.safe_load(OPENAPI.read_text(encoding="utf-8"))
    assert yaml.safe_load(now.read_text(encoding="utf-8")) == committed


def test_errors_md_lists_every_code() -> None:
    listed = (OPENAPI.parent / "errors.md").read_text(encoding="utf-8")
    classes = [c for c in vars(jobs_errors).values() if isinstance(c, type) and issubclass(c, jobs_errors.JobError)]
    codes = {c.code for c in classes if c.audience == "user"} - {"job_error"}
    codes |= {"not_authenticated", "invalid_api_key", "forbidden", "not_found", "malformed_body", "invalid"}
    assert not [code for code in codes if f"`{code}`" not in listed]
