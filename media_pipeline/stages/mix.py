"""The dub: lines at their places over the ducked original, at the wanted loudness.

Two passes: the first renders in blocks and measures, the second brings the loudness to its target, keeps the peaks
below the ceiling and encodes. The encoded file is measured; if it misses, it is encoded once more with what was learned.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from media_pipeline.contract import (
    ArtifactType,
    BaseStage,
    Deadline,
    Produced,
    Scope,
    StageContext,
    StageResult,
)
from media_pipeline.segments import Fit, Segment, read_segments, write_segments
from media_pipeline.tools import ebur128, pcm
from media_pipeline.tools.ducking import Envelope
from media_pipeline.tools.ebur128 import Measured
from media_pipeline.tools.fit import Spoken, place
from media_pipeline.tools.process import Limits, run, spawn

RATE = 48_000
BLOCK = 4 * RATE
LINE_RMS = 0.1
"""Each line is brought to -20 dBFS RMS, so that engines and voices sound alike loud."""
LINE_PEAK = 0.9
HEADROOM = 0.5
"""The intermediate is 16 bit; a line over a loud original must not clip there."""
CEILING_DB = -2.0
"""Of the samples; true peaks and the AAC encoder add up to 1 dB."""
HIGHEST_TRUE_PEAK = -1.0
TOLERANCE_LU = 0.5
BITRATE = "160k"


@dataclass(frozen=True, slots=True)
class PlacedLine:
    """A line of the index with its place in the film."""

    index: dict[str, Any]
    fit: Fit


class Mix(BaseStage):
    """One run a language, streamed: memory does not grow with the film."""

    name = "mix"
    version = 1
    scope = Scope.TARGET
    consumes = (
        ArtifactType.BED,
        ArtifactType.PROBE,
        ArtifactType.SEGMENTS,
        ArtifactType.VOICE_INDEX,
    )
    optional = (ArtifactType.VOICE,)
    produces = (ArtifactType.DUB, ArtifactType.DUBBED_SEGMENTS)
    params = ("loudness", "ducking_db")
    deadline = Deadline(fixed=300, per_media_second=2)

    def run(self, ctx: StageContext) -> StageResult:
        film = float(ctx.facts("probe")["duration"])
        segments = read_segments(ctx.input(ArtifactType.SEGMENTS).path)
        lines = _placed(ctx, segments, film)
        rendered, measured = _render(ctx, lines, film)
        target = float(ctx.params.get("loudness", -16))
        dub = ctx.work / f"dub.{ctx.language}.m4a"
        reached = _finish(ctx, rendered, dub, measured, target=target, film=film)
        rendered.unlink()
        fits = {line.index["id"]: line.fit for line in lines}
        dubbed = ctx.work / f"segments.{ctx.language}.json"
        write_segments(dubbed, [_dubbed(s, fits.get(s.id)) for s in segments], language=ctx.language)
        return StageResult(
            [
                Produced(dub.name, dub, ArtifactType.DUB, "audio/mp4"),
                Produced(dubbed.name, dubbed, ArtifactType.DUBBED_SEGMENTS, "application/json"),
            ],
            {
                "lufs": reached.lufs,
                "true_peak_dbtp": reached.true_peak,
                "duration": film,
                "lines": len(lines),
                "overflows": sum(line.fit.verdict == "overflow" for line in lines),
                "max_speed": max((line.fit.speed for line in lines), default=1.0),
            },
        )


def _placed(ctx: StageContext, segments: Sequence[Segment], film: float) -> list[PlacedLine]:
    index = json.loads(ctx.input(ArtifactType.VOICE_INDEX).path.read_text(encoding="utf-8"))
    spoken = {line["id"]: line for line in index["lines"] if line["samples"]}
    with_voice = [s for s in segments if s.id in spoken]
    lines = [spoken[s.id] for s in with_voice]
    spoken_lines = [
        Spoken(s.id, s.start, s.end, line["natural_seconds"], line["samples"] / line["sample_rate"])
        for s, line in zip(with_voice, lines, strict=True)
    ]
    fits = place(spoken_lines, film_end=film)
    return [PlacedLine(line, fit) for line, fit in zip(lines, fits, strict=True)]


def _dubbed(segment: Segment, fit: Fit | None) -> Segment:
    if fit is None:
        return segment
    marks = tuple(mark for mark in ("squeezed", "overflow") if fit.verdict == mark)
    return segment.with_(fit=fit, flags=(*segment.flags, *marks))


def _render(ctx: StageContext, lines: Sequence[PlacedLine], film: float) -> tuple[Path, Measured]:
    """Mix block by block into a 16-bit WAV, measured on the way."""
    path = ctx.work / "mix.wav"
    spans = [(line.fit.start, line.fit.start + line.fit.duration) for line in lines]
    envelope = Envelope(spans, float(ctx.params.get("ducking_db", -18.0)))
    voices = _Voices(ctx, lines)
    total = round(film * RATE)
    with spawn(_measuring(path), limits=Limits(seconds=4 * 3600), check=ctx.check_cancelled, feed=True) as ffmpeg:
        at = 0
        for bed in _bed(ctx, total):
            mixed = bed * envelope.gains(at / RATE, len(bed), RATE)[:, None]
            mixed += voices.block(at, len(bed))[:, None]
            np.clip(mixed * HEADROOM, -1.0, 1.0, out=mixed)
            ffmpeg.write((mixed * 32767).astype("<i2").tobytes())
            at += len(bed)
            ctx.progress(0.6 * at, total, "samples")
    return path, ebur128.parse(ffmpeg.stderr)


def _measuring(path: Path) -> list[str]:
    return [
        *("ffmpeg", "-nostdin", "-hide_banner", "-nostats", "-f", "s16le", "-ar", str(RATE), "-ac", "2"),
        *("-i", "pipe:0", "-af", "ebur128=framelog=quiet", "-c:a", "pcm_s16le", "-rf64", "auto", "-y", str(path)),
    ]


def _bed(ctx: StageContext, total: int) -> Iterator[pcm.Samples]:
    """The original in blocks, cut or filled with silence to exactly ``total`` samples."""
    left = total
    source = ctx.input(ArtifactType.BED).path
    for block in pcm.stream(source, rate=RATE, channels=2, block=BLOCK, check=ctx.check_cancelled):
        if left <= 0:
            return
        yield block[:left]
        left -= len(block)
    while left > 0:
        yield np.zeros((min(left, BLOCK), 2), np.float32)
        left -= BLOCK


class _Voices:
    """The lines at their places, decoded in order as the render comes to them."""

    def __init__(self, ctx: StageContext, lines: Sequence[PlacedLine]) -> None:
        self._ctx = ctx
        self._coming = iter(_decoded(ctx, lines))
        self._next = next(self._coming, None)
        self._sounding: list[tuple[int, pcm.Samples]] = []

    def block(self, at: int, count: int) -> pcm.Samples:
        """The voices' sum from sample ``at`` on."""
        while self._next is not None and self._next[0] < at + count:
            self._sounding.append(self._next)
            self._next = next(self._coming, None)
        out = np.zeros(count, np.float32)
        for start, samples in self._sounding:
            first, last = max(start, at), min(start + len(samples), at + count)
            out[first - at : last - at] += samples[first - start : last - start]
        self._sounding = [(start, s) for start, s in self._sounding if start + len(s) > at + count]
        return out


def _decoded(ctx: StageContext, lines: Sequence[PlacedLine]) -> Iterator[tuple[int, pcm.Samples]]:
    """Start sample and samples of each line at 48 kHz, levelled; each voice file is decoded once, as a stream."""
    files = {file.name: file.path for file in ctx.inputs(ArtifactType.VOICE)}
    for name in dict.fromkeys(line.index["file"] for line in lines):
        mine = [line for line in lines if line.index["file"] == name]
        source = pcm.stream(files[name], rate=RATE, block=RATE, check=ctx.check_cancelled)
        buffer, begins = np.zeros(0, np.float32), 0
        for line in mine:
            scale = RATE / line.index["sample_rate"]
            first = round(line.index["offset_samples"] * scale)
            last = round((line.index["offset_samples"] + line.index["samples"]) * scale)
            while begins + len(buffer) < last and (more := next(source, None)) is not None:
                buffer = np.concatenate([buffer, more])
            yield round(line.fit.start * RATE), _levelled(buffer[first - begins : last - begins])
            buffer, begins = buffer[first - begins :], first
        for _ in source:  # a few samples of rounding; the decoder ends in order
            pass


def _levelled(samples: pcm.Samples) -> pcm.Samples:
    if not len(samples):
        return samples
    rms = float(np.sqrt(np.mean(samples**2)))
    peak = float(np.abs(samples).max())
    if rms < 1e-5:
        return samples
    return (samples * min(LINE_RMS / rms, LINE_PEAK / peak)).astype(np.float32)


def _finish(
    ctx: StageContext, rendered: Path, dub: Path, measured: Measured, *, target: float, film: float
) -> Measured:
    """Bring to the target and encode; once more if the result misses it."""
    if measured.silent:
        _encode(ctx, rendered, dub, gain=0.0, ceiling=CEILING_DB, film=film)
        return ebur128.measure(dub, check=ctx.check_cancelled)
    gain, ceiling = target - measured.lufs, CEILING_DB
    _encode(ctx, rendered, dub, gain=gain, ceiling=ceiling, film=film)
    reached = ebur128.measure(dub, check=ctx.check_cancelled)
    too_high = max(0.0, (reached.true_peak or 0.0) - HIGHEST_TRUE_PEAK)
    if abs(reached.lufs - target) > TOLERANCE_LU or too_high:
        again = gain + (target - reached.lufs)
        _encode(ctx, rendered, dub, gain=again, ceiling=ceiling - (too_high + 0.3 if too_high else 0.0), film=film)
        reached = ebur128.measure(dub, check=ctx.check_cancelled)
    return reached


def _encode(ctx: StageContext, rendered: Path, dub: Path, *, gain: float, ceiling: float, film: float) -> None:
    limit = 10 ** (ceiling / 20)
    run(
        [
            *("ffmpeg", "-nostdin", "-hide_banner", "-loglevel", "error", "-i", str(rendered)),
            *("-af", f"volume={gain:.2f}dB,alimiter=limit={limit:.4f}:attack=5:release=60:level=false"),
            *("-t", f"{film:.3f}", "-ar", str(RATE), "-ac", "2", "-c:a", "aac", "-b:a", BITRATE),
            *("-movflags", "+faststart", "-y", str(dub)),
        ],
        limits=Limits(seconds=4 * 3600),
        check=ctx.check_cancelled,
    )
