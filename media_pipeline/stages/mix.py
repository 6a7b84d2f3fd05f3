"""The dub: lines at their places over the ducked original, at the wanted loudness.

Two passes: the first renders in blocks and measures, the second brings the loudness to its target, keeps the peaks
below the ceiling and encodes. The encoded file is measured by ffmpeg; if it misses, it is encoded once more with what
was learned.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import log10
from pathlib import Path
from typing import Any

from media_pipeline import languages
from media_pipeline.contract import (
    ArtifactType,
    BaseStage,
    Deadline,
    Produced,
    Scope,
    StageContext,
    StageResult,
)
from media_pipeline.segments import Fit, Segment, read_segments
from media_pipeline.tools import dubmix, loudness
from media_pipeline.tools.dubmix import Ducking, PlacedLine, Span
from media_pipeline.tools.fit import Spoken, place
from media_pipeline.tools.loudness import RATE, Loudness, Programme

CEILING_DBTP = -2.0
"""Before encoding: AAC lets peaks grow by up to about 1 dB."""
HIGHEST_TRUE_PEAK = -1.0
NEAR_ENOUGH_LU = 0.5
VOICE_GAIN_DB = (-12.0, 20.0)
AUDIBLE_DBFS = -55.0


@dataclass(frozen=True, slots=True)
class _Dub:
    """A dub before it is rendered: lines of the voice index with their places, by id."""

    lines: dict[str, dict[str, Any]]
    fits: dict[str, Fit]

    def placed(self, files: dict[str, Path]) -> list[PlacedLine]:
        """For the render, in order of time."""
        return [
            PlacedLine(fit.start, files[line["file"]], line["offset"], line["samples"], line["rate"])
            for line, fit in ((self.lines[id], fit) for id, fit in self.fits.items())
        ]


class Mix(BaseStage):
    """One run a language, streamed: memory does not grow with the film."""

    name = "mix"
    scope = Scope.TARGET
    consumes = (
        ArtifactType.BED,
        ArtifactType.PROBE,
        ArtifactType.SEGMENTS,
        ArtifactType.VOICE,
        ArtifactType.VOICE_INDEX,
    )
    produces = (ArtifactType.DUB, ArtifactType.DUBBED_SEGMENTS)
    params = ("loudness", "ducking_db")
    deadline = Deadline(fixed=300, per_media_second=2)

    def run(self, ctx: StageContext) -> StageResult:
        film = float(ctx.facts("probe")["duration"])
        segments = read_segments(ctx.input(ArtifactType.SEGMENTS).path)
        dub = _arranged(ctx, segments, film)
        raw = ctx.work / "mix.f32"
        programme = _render(ctx, dub, segments, raw, film)
        target = float(ctx.params.get("loudness") or -16)
        out = ctx.work / f"dub.{ctx.language}.m4a"
        reached = _mastered(ctx, programme, raw, out, target)
        raw.unlink()
        facts = _facts(dub.fits.values(), reached, target)
        dubbed = ctx.work / f"segments.{ctx.language}.json"
        _write_dubbed(dubbed, ctx.language, [_dubbed(segment, dub.fits.get(segment.id)) for segment in segments], facts)
        return StageResult(
            [
                Produced(out.name, out, ArtifactType.DUB, "audio/mp4"),
                Produced(dubbed.name, dubbed, ArtifactType.DUBBED_SEGMENTS, "application/json"),
            ],
            facts,
            warnings=_warnings(dub.fits.values(), ctx.language, film),
        )


def _arranged(ctx: StageContext, segments: Sequence[Segment], film: float) -> _Dub:
    index = json.loads(ctx.input(ArtifactType.VOICE_INDEX).path.read_text(encoding="utf-8"))
    lines = {line["id"]: line for line in index["lines"] if line["samples"]}
    spoken = [
        Spoken(s.id, s.start, s.end, lines[s.id]["fit"]["natural"], lines[s.id]["samples"] / lines[s.id]["rate"])
        for s in segments
        if s.id in lines
    ]
    fits = place(spoken, film_end=film)
    return _Dub(lines, {line.id: fit for line, fit in zip(spoken, fits, strict=True)})


def _render(ctx: StageContext, dub: _Dub, segments: Sequence[Segment], raw: Path, film: float) -> Programme:
    bed = ctx.input(ArtifactType.BED).path
    files = {file.name: file.path for file in ctx.inputs(ArtifactType.VOICE)}
    original: list[Span] = [(s.start, s.end) for s in segments if s.id in dub.fits]
    spans = [*original, *((fit.start, fit.start + fit.duration) for fit in dub.fits.values())]
    return dubmix.render(
        bed,
        dub.placed(files),
        voice_gain=10 ** (_voice_gain_db(ctx, dub, bed, original) / 20),
        # The original speaker must not be heard beyond the end of a shorter line, so their time is ducked too.
        ducking=Ducking(spans, float(ctx.params.get("ducking_db", -18.0))),
        samples=round(film * RATE),
        out=raw,
        check=ctx.check_cancelled,
        progress=lambda done, total: ctx.progress(0.6 * done, total, "samples"),
    )


def _voice_gain_db(ctx: StageContext, dub: _Dub, bed: Path, original: Sequence[Span]) -> float:
    """What brings the new voice to the level of the speaker it replaces, so that music and effects keep theirs."""
    power = sum(10 ** (dub.lines[id]["level"] / 10) * fit.duration for id, fit in dub.fits.items())
    seconds = sum(fit.duration for fit in dub.fits.values())
    if not seconds or power <= 0:
        return 0.0
    speaker = dubmix.level_within(bed, original, check=ctx.check_cancelled)
    if speaker < AUDIBLE_DBFS:
        return 0.0
    voice = 10 * log10(power / seconds)
    return min(VOICE_GAIN_DB[1], max(VOICE_GAIN_DB[0], speaker - voice))


def _mastered(ctx: StageContext, programme: Programme, raw: Path, out: Path, target: float) -> Loudness:
    """Encode to the target; once more if the result misses it. How loud the file is in the end."""
    aim, ceiling = target, CEILING_DBTP
    tagged = ["-metadata:s:a:0", f"language={languages.iso639_2(ctx.language)}"]
    for last in (False, True):
        mastering = loudness.master(programme, target=aim, ceiling=ceiling)
        dubmix.encode(raw, out, mastering=mastering, metadata=tagged, check=ctx.check_cancelled)
        reached = loudness.measure(out, check=ctx.check_cancelled)
        missing = target - reached.integrated
        excess = reached.true_peak - HIGHEST_TRUE_PEAK
        if last or programme.silent or (abs(missing) <= NEAR_ENOUGH_LU and excess <= 0):
            break
        aim += missing
        ceiling -= max(0.0, excess) + (0.3 if excess > 0 else 0.0)
    return reached


def _facts(fits: Iterable[Fit], reached: Loudness, target: float) -> dict[str, Any]:
    fits = tuple(fits)
    verdicts = [fit.verdict for fit in fits]
    silent = reached.integrated == float("-inf")
    return {
        "lines": len(fits),
        "verdicts": {verdict: verdicts.count(verdict) for verdict in sorted(set(verdicts))},
        "max_speed": max((fit.speed for fit in fits), default=1.0),
        "overflow_seconds": round(sum(fit.overflow for fit in fits), 3),
        "target_lufs": target,
        "lufs": None if silent else reached.integrated,
        "true_peak_dbtp": None if reached.true_peak == float("-inf") else reached.true_peak,
        "duration": round(reached.seconds, 3),
    }


def _warnings(fits: Iterable[Fit], language: str, film: float) -> list[str]:
    beyond = sum(fit.start + fit.duration > film + 0.001 for fit in fits)
    if not beyond:
        return []
    return [f"{language}: {beyond} lines run past the end of the film, where the dub ends."]


def _dubbed(segment: Segment, fit: Fit | None) -> Segment:
    if fit is None:
        return segment
    marks = [mark for mark in ("squeezed", "overflow") if fit.verdict == mark]
    return segment.with_(fit=fit, flags=(*segment.flags, *marks))


def _write_dubbed(path: Path, language: str, segments: Sequence[Segment], dub: dict[str, Any]) -> None:
    """As ``write_segments``, and what was measured of the whole dub under ``dub``: the checks read it from there."""
    payload = {"language": language, "dub": dub, "segments": [segment.to_json() for segment in segments]}
    path.write_text(json.dumps(payload, ensure_ascii=False, indent=1), encoding="utf-8")
