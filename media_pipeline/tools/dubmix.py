"""The sound of a dubbed film: the original, ducked, and the new voice over it; in blocks, never whole in memory."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from media_pipeline.providers.base import Check, no_check
from media_pipeline.tools import pcm
from media_pipeline.tools.ffmpeg import command
from media_pipeline.tools.loudness import RATE, Mastering, Meter, Programme, Signal
from media_pipeline.tools.process import Limits, spawn

BLOCK = RATE
ATTACK, RELEASE = 0.15, 0.5
"""Seconds in which the original goes down before speech and comes up after it."""
BRIDGE = 0.9
"""A pause shorter than this does not bring the original up: it would pump."""
EDGE = 0.004
"""Seconds of fade at both ends of a line, against clicks."""
AAC_KBPS = 160

Span = tuple[float, float]
Progress = Callable[[float, float], None]


@dataclass(frozen=True, slots=True)
class PlacedLine:
    """A line of speech: ``samples`` samples from ``offset`` in a mono file of ``rate``, put at ``start`` seconds."""

    start: float
    file: Path
    offset: int
    samples: int
    rate: int


class Ducking:
    """Gain of the original over time: 1, or ``depth_db`` under the spans, with smooth edges."""

    def __init__(self, spans: Sequence[Span], depth_db: float) -> None:
        times, depths = [0.0], [0.0]
        for start, end in merged(spans, BRIDGE):
            times += [start - ATTACK, start, end, end + RELEASE]
            depths += [0.0, 1.0, 1.0, 0.0]
        self._times, self._depths, self._db = np.array(times), np.array(depths), depth_db
        if len(times) > 1 and self._times[1] < 0:
            self._times, self._depths = self._times[1:], self._depths[1:]

    def gains(self, start: int, count: int) -> Signal:
        """Factors for the samples from ``start`` on."""
        at = np.arange(start, start + count, dtype=np.float64) / RATE
        depth = np.interp(at, self._times, self._depths)
        smooth = depth * depth * (3 - 2 * depth)
        gains: Signal = np.power(10, smooth * (self._db / 20)).astype(np.float32)
        return gains


def merged(spans: Sequence[Span], bridge: float) -> list[Span]:
    """Spans in order of time; those that touch, or lie less than ``bridge`` seconds apart, become one."""
    joined: list[Span] = []
    for start, end in sorted(spans):
        if joined and start - joined[-1][1] < bridge:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined


def render(
    bed: Path,
    lines: Sequence[PlacedLine],
    *,
    voice_gain: float,
    ducking: Ducking,
    samples: int,
    out: Path,
    check: Check = no_check,
    progress: Progress = lambda done, total: None,
) -> Programme:
    """Mix to raw 32-bit float stereo at 48 kHz, exactly ``samples`` long, and measure it on the way."""
    meter = Meter()
    voice = _VoiceTrack(lines, check)
    with closing(_bed_blocks(bed, samples, check)) as blocks, closing(voice), out.open("wb") as file:
        for at, original in blocks:
            mixed = original * ducking.gains(at, len(original))[:, None]
            voice.add_to(mixed, at, voice_gain)
            meter.add(mixed)
            file.write(mixed.tobytes())
            progress(at + len(mixed), samples)
    return meter.finish()


def encode(
    raw: Path,
    out: Path,
    *,
    mastering: Mastering,
    metadata: Sequence[str] = (),
    check: Check = no_check,
) -> None:
    """Encode what ``render`` wrote, with the gain and limiter of ``mastering``, as AAC-LC in an MP4 file.

    ffmpeg's fast coefficient search takes a fifth of the time of its default; 160 kbit/s make up for it.
    """
    argv = command(
        *("-f", "f32le", "-ar", str(RATE), "-ac", "2"),
        *("-i", "pipe:0", "-c:a", "aac", "-aac_coder", "fast", "-b:a", f"{AAC_KBPS}k", *metadata),
        *("-movflags", "+faststart", "-f", "mp4", str(out)),
    )
    at = 0
    with spawn(argv, limits=Limits(seconds=4 * 3600), check=check, feed=True) as child, raw.open("rb") as file:
        while data := file.read(BLOCK * 8):
            block = np.frombuffer(data, np.float32).reshape(-1, 2)
            child.write((block * mastering.gains(at, len(block))[:, None]).tobytes())
            at += len(block)


def level_within(path: Path, spans: Sequence[Span], *, check: Check = no_check) -> float:
    """Level of a file within spans of time, as root mean square in dBFS; -100 where there is nothing."""
    rate = 8_000
    total, count, at = 0.0, 0, 0
    joined = merged(spans, 0.0)
    with closing(_decoded(path, rate=rate, channels=1, block=rate * 10, check=check)) as blocks:
        for block in blocks:
            for start, end in _within(joined, at / rate, (at + len(block)) / rate):
                part = block[int(start * rate) - at : int(end * rate) - at]
                total += float(np.square(part).sum(dtype=np.float64))
                count += len(part)
            at += len(block)
    return 10 * float(np.log10(max(total / count, 1e-10))) if count else -100.0


def _decoded(path: Path, *, rate: int, channels: int, block: int, check: Check) -> Generator[Signal, None, None]:
    yield from pcm.stream(path, rate=rate, channels=channels, block=block, check=check)


def _within(spans: Sequence[Span], start: float, end: float) -> Iterator[Span]:
    for first, last in spans:
        if first < end and last > start:
            yield max(first, start), min(last, end)


def _bed_blocks(path: Path, samples: int, check: Check) -> Generator[tuple[int, Signal], None, None]:
    """The original from the start, cut or filled with silence to exactly ``samples``."""
    at = 0
    with closing(_decoded(path, rate=RATE, channels=2, block=BLOCK, check=check)) as blocks:
        for block in blocks:
            kept = block[: samples - at]
            if len(kept):
                yield at, kept
            at += len(kept)
            if at >= samples:
                return
    while at < samples:
        silence = np.zeros((min(BLOCK, samples - at), 2), np.float32)
        yield at, silence
        at += len(silence)


class _VoiceTrack:
    """Reads lines from their files in order, as the film gets to them."""

    def __init__(self, lines: Sequence[PlacedLine], check: Check) -> None:
        self._coming = _spoken(lines, check)
        self._next = next(self._coming, None)
        self._current: list[tuple[int, Signal]] = []

    def add_to(self, block: Signal, at: int, gain: float) -> None:
        """Add what falls into the block that starts at sample ``at``."""
        end = at + len(block)
        while self._next is not None and self._next[0] < end:
            self._current.append(self._next)
            self._next = next(self._coming, None)
        for start, samples in self._current:
            first, last = max(start, at), min(start + len(samples), end)
            if first < last:
                block[first - at : last - at] += samples[first - start : last - start, None] * np.float32(gain)
        self._current = [line for line in self._current if line[0] + len(line[1]) > end]

    def close(self) -> None:
        """Stop reading."""
        self._coming.close()


def _spoken(lines: Sequence[PlacedLine], check: Check) -> Generator[tuple[int, Signal], None, None]:
    """(first sample in the film, samples) of each line at 48 kHz."""
    reader: _FileReader | None = None
    try:
        for line in lines:
            if reader is None or reader.path != line.file:
                if reader is not None:
                    reader.close()
                reader = _FileReader(line.file, check)
            first = round(line.offset * RATE / line.rate)
            last = round((line.offset + line.samples) * RATE / line.rate)
            yield round(line.start * RATE), _with_soft_edges(reader.read(first, last))
    finally:
        if reader is not None:
            reader.close()


class _FileReader:
    """Forward reading of pieces of one mono file, decoded and resampled to 48 kHz."""

    def __init__(self, path: Path, check: Check) -> None:
        self.path = path
        self._blocks = _decoded(path, rate=RATE, channels=1, block=BLOCK, check=check)
        self._held: Signal = np.zeros(0, np.float32)
        self._at = 0

    def read(self, first: int, last: int) -> Signal:
        """Samples from ``first`` to ``last``, which must not lie before what was read already."""
        parts = []
        while self._at < last:
            if not len(self._held):
                more = next(self._blocks, None)
                if more is None:
                    break
                self._held = more
            skipped = min(len(self._held), max(0, first - self._at))
            taken = min(len(self._held) - skipped, max(0, last - self._at - skipped))
            parts.append(self._held[skipped : skipped + taken])
            self._held = self._held[skipped + taken :]
            self._at += skipped + taken
        return np.concatenate(parts) if parts else np.zeros(0, np.float32)

    def close(self) -> None:
        self._blocks.close()


def _with_soft_edges(samples: Signal) -> Signal:
    length = min(int(EDGE * RATE), len(samples) // 2)
    if length:
        ramp = np.linspace(0, 1, length, dtype=np.float32)
        samples[:length] *= ramp
        samples[-length:] *= ramp[::-1]
    return samples
