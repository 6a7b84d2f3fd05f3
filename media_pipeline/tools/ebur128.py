"""Loudness by EBU R 128, measured by ffmpeg's ebur128 filter."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from media_pipeline.providers.base import Check, no_check
from media_pipeline.tools.process import Limits, run

INTEGRATED = re.compile(r"^\s+I:\s+(-?[\d.]+|-inf|nan) LUFS", re.MULTILINE)
PEAK = re.compile(r"^\s+Peak:\s+(-?[\d.]+|-?inf|nan) dBFS", re.MULTILINE)
SILENT = -70.0
"""What the absolute gate leaves of silence: nothing louder than this (BS.1770-4)."""


@dataclass(frozen=True, slots=True)
class Measured:
    """``lufs``: integrated; ``true_peak`` in dBTP, None where it was not measured."""

    lufs: float
    true_peak: float | None = None

    @property
    def silent(self) -> bool:
        """Whether there is nothing to bring to a level."""
        return self.lufs <= SILENT


def measure(path: Path, *, check: Check = no_check) -> Measured:
    """Loudness and true peak of a file's first audio stream. Raises ToolFailed."""
    done = run(
        [
            *("ffmpeg", "-nostdin", "-hide_banner", "-nostats", "-protocol_whitelist", "file"),
            *("-i", str(path), "-map", "0:a:0", "-af", "ebur128=peak=true:framelog=verbose", "-f", "null", "-"),
        ],
        limits=Limits(seconds=3600),
        check=check,
    )
    return parse(done.stderr)


def parse(summary: str) -> Measured:
    """Read the summary that ebur128 writes at its end."""
    found = INTEGRATED.findall(summary)
    peak = PEAK.findall(summary)
    return Measured(_number(found[-1]) if found else SILENT, _number(peak[-1]) if peak else None)


def _number(text: str) -> float:
    return max(SILENT, float(text)) if text not in {"nan", "-inf", "inf"} else SILENT
