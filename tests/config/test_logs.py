"""What must not be in logs."""

from __future__ import annotations

import json
import logging
import re
import sys
from typing import Any

import pytest
import structlog

from config import tracing
from config.logs import json_formatter, logging_config, redact
from jobs.services.submission import JobRequest, job_submit


def test_a_traceback_shows_no_values_of_variables() -> None:
    formatter = logging_config(level="INFO", console=False)["formatters"]["structured"]
    made = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=formatter["foreign_pre_chain"], processors=formatter["processors"]
    )
    try:
        plain = "hush-hush"
        raise ValueError(len(plain))
    except ValueError:
        record = logging.getLogger("x").makeRecord("x", logging.ERROR, __file__, 1, "failed", (), True)
        record.exc_info = sys.exc_info()
    line = made.format(record)
    assert json.loads(line)["exception"][0]["exc_type"] == "ValueError"
    assert "hush-hush" not in line


def test_tickets_keys_and_signed_addresses_are_taken_out() -> None:
    for line in ("WebSocket /ws/jobs/1/?ticket=abc-DEF [accepted]", "Api-Key dgm_a_b", "GET /media/v/1.2.abc-DEF/x"):
        shown = str(redact(None, "", {"event": line})["event"])
        assert "[redacted]" in shown
        assert "abc-DEF" not in shown
        assert "dgm_" not in shown


@pytest.mark.parametrize("form", ["s3://key:hush@media", "postgres://u:hush@h/db", "redis://:hush@h:6379/0"])
def test_passwords_in_addresses_are_taken_out_also_of_tracebacks(form: str, caplog: pytest.LogCaptureFixture) -> None:
    try:
        raise OSError(f"cannot reach {form}")
    except OSError:
        structlog.get_logger("tests").exception("failed", tried=[{"url": form}], all=(form, 1))
    (line,) = lines_of(caplog)
    assert line["exception"][0]["exc_type"] == "OSError"
    assert "hush" not in json.dumps(line)
    assert line["all"][1] == 1
    assert "cannot reach" in json.dumps(line)


def lines_of(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """What the loggers were given, as the console would show it."""
    form = json_formatter()
    return [json.loads(form.format(record)) for record in caplog.records]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "4bf92f3577b34da6a3ce929d0e0e4736"),
        ("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more", "4bf92f3577b34da6a3ce929d0e0e4736"),
        ("00-00000000000000000000000000000000-00f067aa0ba902b7-01", ""),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", ""),
        ("00-4BF92F-00f067aa0ba902b7-01", ""),
        ("x\ny", ""),
        ("", ""),
    ],
)
def test_the_callers_trace_goes_on_or_a_new_one_begins(given: str, kept: str) -> None:
    made = tracing.trace_id(given)
    assert made == kept if kept else re.fullmatch("[0-9a-f]{32}", made)
    assert kept or made != tracing.trace_id(given)


def test_a_request_says_who_asked_for_what_and_how_long_it_took(
    user: Any, api: Any, make_job: Any, caplog: pytest.LogCaptureFixture
) -> None:
    job = make_job(user)
    client = api(user)
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    with caplog.at_level(logging.INFO):
        client.get(f"/api/v1/jobs/{job.pk}", headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"})
        client.get("/ws-or-not?ticket=abc-DEF")
    lines = [line for line in lines_of(caplog) if line["event"].startswith("request_")]
    ended = next(line for line in lines if line["event"] == "request_finished")
    assert ended["trace_id"] == trace
    assert ended["job_id"] == str(job.pk)
    assert ended["request_id"]
    assert ended["level"] == "info"
    assert ended["timestamp"].endswith("Z")
    assert isinstance(ended["duration_ms"], int)
    assert "[redacted]" in json.dumps(lines)
    assert "abc-DEF" not in json.dumps(lines)
    assert "dgm_" not in json.dumps(lines)


def test_an_order_is_told_with_its_job(user: Any, make_asset: Any, caplog: pytest.LogCaptureFixture) -> None:
    order = JobRequest("tiny", make_asset(user).pk, "en", ("es",), params={"folder": "/none"})
    with caplog.at_level(logging.INFO):
        job = job_submit(owner=user, request=order)
    (line,) = [line for line in lines_of(caplog) if line["event"] == "job.submitted"]
    assert line["job_id"] == str(job.pk)
    assert line["asset_id"] == str(job.asset_id)
