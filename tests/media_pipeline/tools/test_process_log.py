"""What is logged of the programs that stages run."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from media_pipeline.errors import ToolFailed
from media_pipeline.tools import process


def test_ffmpegs_own_words_are_logged_without_folders(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    missing = tmp_path / "none.mp4"
    with caplog.at_level(logging.DEBUG, process.__name__), pytest.raises(ToolFailed):
        process.run(["ffprobe", "-v", "error", str(missing)])
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage() == "tool.ended"
    assert record.program == "ffprobe"
    assert record.code == 1
    assert "No such file" in record.stderr
    assert str(tmp_path) not in record.stderr
    assert record.duration_ms > 0


def test_what_engines_say_may_be_the_transcript_and_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, process.__name__):
        process.run(["sh", "-c", "echo what was said; echo what was said >&2"])
    (record,) = caplog.records
    assert record.levelno == logging.DEBUG
    assert "what was said" not in str(vars(record))
