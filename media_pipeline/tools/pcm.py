"""Audio of any format as a stream of samples: decoded by ffmpeg, never whole in memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from media_pipeline.providers.base import Check, no_check
from media_pipeline.tools.ffmpeg import command, users_file
from media_pipeline.tools.process import Limits, spawn

Samples = NDArray[np.float32]
LIMITS = Limits(seconds=4 * 3600)


def stream(
    path: Path,
    *,
    rate: int,
    channels: int = 1,
    block: int,
    start: float = 0.0,
    end: float | None = None,
    check: Check = no_check,
) -> Iterator[Samples]:
    """Blocks of ``block`` samples (the last one may be shorter), shape (n,) for mono and (n, channels) otherwise,
    between -1 and 1. ``start`` and ``end`` are seconds. Raises ToolFailed."""
    frame = 4 * channels
    with spawn(_argv(path, rate, channels, start, end), limits=LIMITS, check=check) as child:
        pending = bytearray()
        while data := child.read(max(65536, block * frame)):
            pending += data
            while len(pending) >= block * frame:
                yield _samples(bytes(pending[: block * frame]), channels)
                del pending[: block * frame]
        if len(pending) >= frame:
            yield _samples(bytes(pending[: len(pending) // frame * frame]), channels)


def read(path: Path, *, rate: int, start: float = 0.0, end: float | None = None, check: Check = no_check) -> Samples:
    """A short piece, mono, at once."""
    blocks = list(stream(path, rate=rate, block=rate, start=start, end=end, check=check))
    return np.concatenate(blocks) if blocks else np.zeros(0, np.float32)


def _samples(data: bytes, channels: int) -> Samples:
    samples = np.frombuffer(data, np.float32)
    return samples.reshape(-1, channels) if channels > 1 else samples


def _argv(path: Path, rate: int, channels: int, start: float, end: float | None) -> list[str]:
    window = ["-ss", f"{start:.3f}"] if start else []
    if end is not None:
        window += ["-t", f"{end - start:.3f}"]
    return command(
        *window,
        *users_file(path),
        *("-map", "0:a:0", "-ac", str(channels), "-ar", str(rate), "-f", "f32le", "pipe:1"),
    )
