"""What must not be in logs."""

from __future__ import annotations

import json
import logging
import sys

import structlog

from config.logs import logging_config


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
