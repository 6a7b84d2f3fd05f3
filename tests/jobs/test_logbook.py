"""Each job's log."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from assets import storage
from config.logs import json_formatter
from jobs.services.logbook import LogbookHandler, job_log_join, job_log_lines, logbook

log = structlog.get_logger("tests.logbook")


@pytest.fixture(autouse=True)
def kept() -> Iterator[None]:
    handler = LogbookHandler()
    handler.setFormatter(json_formatter())
    root = logging.getLogger()
    root.addHandler(handler)
    before = root.level
    root.setLevel(logging.INFO)
    yield
    root.setLevel(before)
    root.removeHandler(handler)


def written(job: Any, run: int, fence: int, *events: str) -> None:
    logbook.open(job_id=str(job.pk), run_id=run, fence=fence)
    with structlog.contextvars.bound_contextvars(job_id=str(job.pk), stage="mt", language="es", attempt=1):
        for event in events:
            log.info(event, duration_ms=12)
    log.info("of another job", job_id="somebody else's")
    log.info("of no job")
    logbook.close()


def test_lines_of_all_tries_are_joined_by_time(user: Any, make_job: Any, end: Any) -> None:
    job = make_job(user)
    written(job, 2, 4, "first")
    written(job, 1, 9, "second", "third")
    open_lines = [json.loads(line) for line in job_log_lines(job)]
    assert [line["event"] for line in open_lines] == ["first", "second", "third"]
    assert {"timestamp", "level", "event", "job_id", "stage", "language", "attempt", "duration_ms"} <= set(
        open_lines[0]
    )
    end(job)
    job.refresh_from_db()
    job_log_join(job)
    assert storage.exists(job.logs_key)
    assert [json.loads(line)["event"] for line in job_log_lines(job)] == ["first", "second", "third"]


def test_keys_and_addresses_are_not_kept(user: Any, make_job: Any) -> None:
    job = make_job(user)
    written(job, 1, 1, "asked /media/v/1.2.abc/master.m3u8 with Api-Key dgm_abc_def")
    (line,) = job_log_lines(job)
    assert b"abc" not in line
    assert b"[redacted]" in line


def test_a_stage_that_writes_much_keeps_its_last_lines(
    user: Any, make_job: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.services.logbook.LONGEST", 3)
    job = make_job(user)
    written(job, 1, 1, *(f"line {number}" for number in range(10)))
    assert [json.loads(line)["event"] for line in job_log_lines(job)] == ["line 7", "line 8", "line 9"]
