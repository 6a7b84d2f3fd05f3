"""Copies of what lies in remote storage, kept on this machine by digest, so that the shards of a stage fetch once."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path

import structlog
from django.conf import settings

KEPT = timedelta(days=1)
EVERY = timedelta(hours=1)
log = structlog.get_logger(__name__)
_swept = [float("-inf")]


def place(sha256: str, key: str) -> Path:
    """Where the copy of this content belongs; its name keeps the key's suffix."""
    folder: Path = settings.VAR / "cache" / sha256[:2]
    return folder / (sha256 + Path(key).suffix)


def sweep_now_and_then() -> None:
    """Sweep, unless this process did within the hour."""
    if time.monotonic() - _swept[0] > EVERY.total_seconds():
        _swept[0] = time.monotonic()
        sweep()


def sweep() -> int:
    """Remove what nobody has asked for in a day; how many files that were."""
    oldest = time.time() - KEPT.total_seconds()
    removed = 0
    for path in (settings.VAR / "cache").glob("*/*"):
        try:
            if path.stat().st_mtime < oldest:
                path.unlink()
                removed += 1
        except FileNotFoundError:  # another worker sweeps too
            continue
    if removed:
        log.info("cache.swept", files=removed)
    return removed
