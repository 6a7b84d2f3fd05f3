"""Copies of remote files."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from jobs.execution import cache


@pytest.fixture(autouse=True)
def var(settings: Any, tmp_path: Path) -> Path:
    settings.VAR = tmp_path
    return tmp_path


def copy(digest: str, *, unused_for: float) -> Path:
    path = cache.place(digest, "assets/x/source.mp4")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"-")
    os.utime(path, (time.time() - unused_for,) * 2)
    return path


def test_what_was_not_used_for_a_day_goes() -> None:
    fresh, stale = copy("ab" * 32, unused_for=3600), copy("cd" * 32, unused_for=90_000)
    assert fresh.name == "ab" * 32 + ".mp4"
    assert cache.sweep() == 1
    assert fresh.exists()
    assert not stale.exists()


def test_a_process_sweeps_once_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "_swept", [float("-inf")])
    first = copy("ab" * 32, unused_for=90_000)
    cache.sweep_now_and_then()
    assert not first.exists()
    second = copy("cd" * 32, unused_for=90_000)
    cache.sweep_now_and_then()
    assert second.exists()


def test_an_instance_without_copies_has_nothing_to_sweep() -> None:
    assert cache.sweep() == 0
