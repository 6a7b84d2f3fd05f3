"""Audio of any format as a stream of samples: decoded by ffmpeg, never whole in memory.

A WAV of ours that has the wanted rate already is read as it is: a recogniser reads hundreds of pieces of it.
"""

from __future__ import annotations

import wave
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
    if channels == 1 and _is_plain(path, rate):
        yield from _plain(path, rate, block, start, end)
        return
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


def _is_plain(path: Path, rate: int) -> bool:
    """Whether this is a mono 16-bit WAV of that rate; a broken one is left to ffmpeg to complain about."""
    if path.suffix != ".wav":
        return False
    try:
        with wave.open(str(path), "rb") as file:
            return (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, rate)
    except (wave.Error, EOFError):
        return False


def _plain(path: Path, rate: int, block: int, start: float, end: float | None) -> Iterator[Samples]:
    with wave.open(str(path), "rb") as file:
        at = min(round(start * rate), file.getnframes())
        last = file.getnframes() if end is None else min(round(end * rate), file.getnframes())
        file.setpos(at)
        while at < last and (data := file.readframes(min(block, last - at))):
            samples = np.frombuffer(data, "<i2")
            at += len(samples)
            yield samples.astype(np.float32) / np.float32(32768)


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
