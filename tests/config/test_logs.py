"""What must not be in logs."""

from __future__ import annotations

import json
import logging
import sys

import structlog

from config.logs import logging_config, redact


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
