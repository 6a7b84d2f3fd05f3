"""Speech for the translated lines: at natural speed first, again faster where a line does not fit its time."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from media_pipeline import languages
from media_pipeline.contract import (
    ArtifactType,
    BaseStage,
    Deadline,
    Produced,
    Scope,
    Shard,
    ShardRequest,
    StageContext,
    StageResult,
)
from media_pipeline.providers.base import Line, TtsProvider
from media_pipeline.segments import Fit, Segment, read_segments
from media_pipeline.tools import fit
from media_pipeline.tools.audio import EMPTY, Speech, level_dbfs, read_wav, write_flac
from media_pipeline.tools.digests import piece_digest
from media_pipeline.tools.speech_text import speakable

SHARD_LINES = 32
CORRECTIONS = 2
"""How often a line is spoken again when the voice did not get as fast as it was asked to."""
NEAR_ENOUGH = 0.015
DEFAULT_RATE = 24_000
GUARD_SECONDS = 0.02
"""Silence between lines in the file, so that resampling does not carry one into the next."""


@dataclass(frozen=True, slots=True)
class Take:
    """A line as spoken: 16-bit samples, their rate, and the speed that was asked for."""

    samples: Speech
    rate: int
    asked: float

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self.samples) / self.rate


class Tts(BaseStage):
    """One take per segment; where each stands is in ``voice.<lang>.json``."""

    name = "tts"
    scope = Scope.TARGET
    consumes = (ArtifactType.SEGMENTS, ArtifactType.PROBE)
    produces = (ArtifactType.VOICE, ArtifactType.VOICE_INDEX)
    uses = ("tts",)
    params = ("tts_provider", "voices", "max_speed")
    deadline = Deadline(fixed=300, per_media_second=4)

    def shards(self, request: ShardRequest) -> tuple[Shard, ...]:
        facts = request.facts.get("mt", {})
        count, seconds = int(facts.get("segments", 0)), float(facts.get("speech_seconds", 0.0))
        shards = -(-count // SHARD_LINES)
        edges = [round(index * count / shards) for index in range(shards + 1)] if shards else []
        return tuple(
            Shard(index, {"from": first, "to": last}, round(seconds * (last - first) / count, 3))
            for index, (first, last) in enumerate(pairwise(edges), 1)
        )

    def run(self, ctx: StageContext) -> StageResult:
        segments = read_segments(ctx.input(ArtifactType.SEGMENTS, language=ctx.language).path)
        first, last, index = 0, len(segments), 0
        if ctx.shard is not None:
            first, last, index = ctx.shard.spec["from"], ctx.shard.spec["to"], ctx.shard.index
        film_end = float(ctx.facts("probe")["duration"])
        following = segments[last].start if last < len(segments) else film_end
        session = _Session(ctx, segments[first:last], following)
        began = time.monotonic()
        takes = session.speak()
        engine_ms = round((time.monotonic() - began) * 1000)
        return _written(session, takes, index, engine_ms)

    def join(self, ctx: StageContext) -> StageResult:
        parts = [json.loads(file.path.read_text("utf-8")) for file in ctx.inputs(ArtifactType.VOICE_INDEX)]
        whole = {**parts[0], "lines": [line for part in parts for line in part["lines"]]}
        results = ctx.shard_results()
        cached, characters = (
            sum(int(result.facts.get(name, 0)) for result in results) for name in ("cached_lines", "characters")
        )
        warnings = tuple(dict.fromkeys(text for result in results for text in result.warnings))
        return StageResult(
            [_index_file(ctx, 0, whole)], _facts(whole, cached, characters), parts[0]["provider"], warnings
        )


class _Session:
    """The lines of one run and how they get spoken."""

    def __init__(self, ctx: StageContext, segments: Sequence[Segment], following: float) -> None:
        self.ctx = ctx
        self.segments = segments
        self.following = following
        self.most = float(ctx.params.get("max_speed") or 1.4)
        self.voice = _voice(ctx)
        self.provider: TtsProvider | None = None
        self.cached = 0
        self.characters = 0
        self.natural: list[float] = []

    def speak(self) -> list[Take]:
        """A take for each segment; silence where there is nothing to say."""
        spoken = [index for index, segment in enumerate(self.segments) if speakable(segment.text)]
        silence = Take(EMPTY, DEFAULT_RATE, 1.0)
        takes = [silence] * len(self.segments)
        if not spoken:
            return takes
        self.provider = self.ctx.router.tts(self.ctx.language)
        self.characters = sum(len(self.segments[index].text) for index in spoken)
        for index, take in self._take({index: 1.0 for index in spoken}):
            takes[index] = take
        self.natural = [take.seconds for take in takes]
        for _ in range(1 + CORRECTIONS):
            faster = self._asked_again(takes)
            if not faster:
                break
            for index, take in self._take(faster):
                takes[index] = take
        return takes

    def fits(self, takes: Sequence[Take]) -> tuple[Fit, ...]:
        """Where the lines would go if these were all there are; the mix places them for good."""
        natural = self.natural if self.provider else [0.0] * len(takes)
        lines = [
            fit.Spoken(segment.id, segment.start, segment.end, seconds, take.seconds)
            for segment, seconds, take in zip(self.segments, natural, takes, strict=True)
        ]
        return fit.place(lines, film_end=self.following)

    def _asked_again(self, takes: Sequence[Take]) -> dict[int, float]:
        """Speeds for the lines that are not yet as fast as they must be (or too fast by far)."""
        assert self.provider is not None  # noqa: S101
        spoken = [index for index, seconds in enumerate(self.natural) if seconds]
        lines = [
            fit.Line(self.segments[n].id, self.segments[n].start, self.segments[n].end, self.natural[n]) for n in spoken
        ]
        wishes = fit.wishes(lines, following=self.following, most=self.most)
        slowest, fastest = self.provider.capabilities().speed
        again = {}
        for index, wish in zip(spoken, wishes, strict=True):
            take = takes[index]
            if not take.seconds:
                continue
            reached = self.natural[index] / take.seconds
            off = wish.speed / reached
            too_fast = reached > fit.MOST_SPEED or (off < 1 - 5 * NEAR_ENOUGH and take.asked > 1)
            if off <= 1 + NEAR_ENOUGH and not too_fast:
                continue
            speed = round(min(fastest, max(slowest, 1.0, take.asked * off)), 2)
            if speed != take.asked:
                again[index] = speed
        return again

    def _take(self, speeds: dict[int, float]) -> Iterator[tuple[int, Take]]:
        """Takes of some lines, from the pieces where they were spoken before."""
        assert self.provider is not None  # noqa: S101
        digests = {index: self._digest(index, speed) for index, speed in speeds.items()}
        known = self.ctx.pieces.get_many(sorted(set(digests.values())))
        missing = {digest: index for index, digest in digests.items() if digest not in known}
        self.cached += sum(speeds[index] == 1.0 and digest in known for index, digest in digests.items())
        known |= self._synthesized({digest: (index, speeds[index]) for digest, index in missing.items()})
        for index, digest in digests.items():
            samples, rate = read_wav(known[digest])
            yield index, Take(samples, rate, speeds[index])
        self.ctx.progress(len(digests), len(self.segments), "lines")

    def _synthesized(self, missing: dict[str, tuple[int, float]]) -> dict[str, bytes]:
        assert self.provider is not None  # noqa: S101
        made: dict[str, bytes] = {}
        size = max(1, self.provider.capabilities().batch_size)
        digests = list(missing)
        for at in range(0, len(digests), size):
            self.ctx.check_cancelled()
            batch = digests[at : at + size]
            out = self.ctx.work / f"take-{len(made)}-{at}"
            out.mkdir(exist_ok=True)
            lines = [Line(self.segments[index].text, speed) for index, speed in (missing[d] for d in batch)]
            paths = self.provider.synthesize(
                lines, language=self.ctx.language, voice=self.voice, out=out, check=self.ctx.check_cancelled
            )
            fresh = {digest: path.read_bytes() for digest, path in zip(batch, paths, strict=True)}
            for path in paths:
                path.unlink()
            self.ctx.pieces.put_many(fresh)
            made |= fresh
        return made

    def _digest(self, index: int, speed: float) -> str:
        assert self.provider is not None  # noqa: S101
        text = self.segments[index].text
        language = [self.ctx.language, self.voice]
        return piece_digest("tts", self.provider, language=language, text=text, speed=f"{speed:.2f}")


def _voice(ctx: StageContext) -> str:
    """The voice that the job asked for in this language, or in the language without its region."""
    voices = ctx.params.get("voices") or {}
    return str(voices.get(ctx.language) or voices.get(languages.primary(ctx.language)) or "")


def _written(session: _Session, takes: Sequence[Take], index: int, engine_ms: int) -> StageResult:
    """Lines end to end in one FLAC, and where they are."""
    ctx = session.ctx
    name = f"voice.{ctx.language}.{index:04d}.flac"
    path = ctx.work / name
    rate = next((take.rate for take in takes if take.seconds), DEFAULT_RATE)
    guard: Speech = np.zeros(round(GUARD_SECONDS * rate), np.int16)
    lines: list[dict[str, Any]] = []
    at = len(guard)
    for segment, take, fitted in zip(session.segments, takes, session.fits(takes), strict=True):
        lines.append(
            {
                "id": segment.id,
                "file": name,
                "offset": at,
                "samples": len(take.samples),
                "rate": rate,
                "level": round(level_dbfs(take.samples), 1),
                "fit": asdict(fitted),
            }
        )
        at += len(take.samples) + len(guard)
    pieces = [guard, *(part for take in takes for part in (take.samples, guard))]
    write_flac(path, pieces, rate, check=ctx.check_cancelled)
    provider = session.provider.id if session.provider else ""
    whole = {"language": ctx.language, "provider": provider, "voice": session.voice, "lines": lines}
    usage = {
        "characters": session.characters,
        "engine_ms": engine_ms,
        "audio_seconds": round(sum(take.seconds for take in takes), 3),
    }
    made = Produced(name, path, ArtifactType.VOICE, "audio/flac", public=False)
    facts = _facts(whole, session.cached, session.characters)
    return StageResult([made, _index_file(ctx, index, whole)], facts, provider=provider, usage=usage)


def _index_file(ctx: StageContext, index: int, whole: dict[str, Any]) -> Produced:
    name = f"voice.{ctx.language}.{index:04d}.json" if ctx.shard is not None else f"voice.{ctx.language}.json"
    path = ctx.work / name
    path.write_text(json.dumps(whole, ensure_ascii=False), encoding="utf-8")
    return Produced(name, path, ArtifactType.VOICE_INDEX, "application/json", public=False)


def _facts(whole: dict[str, Any], cached: int, characters: int) -> dict[str, Any]:
    verdicts = [line["fit"]["verdict"] for line in whole["lines"]]
    return {
        "lines": len(verdicts),
        "characters": characters,
        "voice": whole["voice"],
        "cached_lines": cached,
        "flags": {verdict: verdicts.count(verdict) for verdict in sorted(set(verdicts))},
    }
