"""Speech for translated segments: spoken unhurried, measured, and spoken again only where the slot asks for it."""

from __future__ import annotations

import json
import time
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

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
from media_pipeline.errors import ProviderFailed
from media_pipeline.providers.base import Line, TtsProvider
from media_pipeline.segments import Segment, read_segments
from media_pipeline.tools.digests import piece_digest
from media_pipeline.tools.fit import slots, wanted_speed

SHARD_SEGMENTS = 32
SPEED_STEP = 0.01


@dataclass(frozen=True, slots=True)
class Spoken:
    """A line as WAV bytes (mono, 16 bit), with the seconds that it takes unhurried."""

    wav: bytes
    natural: float
    speed: float


class Tts(BaseStage):
    """Each shard writes its lines end to end into one file, and an index of them."""

    name = "tts"
    scope = Scope.TARGET
    consumes = (ArtifactType.SEGMENTS, ArtifactType.PROBE)
    produces = (ArtifactType.VOICE, ArtifactType.VOICE_INDEX)
    uses = ("tts",)
    params = ("tts_provider", "voices", "max_speed")
    deadline = Deadline(fixed=300, per_media_second=5)

    def shards(self, request: ShardRequest) -> tuple[Shard, ...]:
        facts = request.facts.get("mt", {})
        count, seconds = facts.get("segments", 0), facts.get("speech_seconds", 0.0)
        starts = range(0, count, SHARD_SEGMENTS)
        return tuple(
            Shard(index, {"from": at, "to": min(count, at + SHARD_SEGMENTS)}, round(seconds / len(starts), 3))
            for index, at in enumerate(starts, 1)
        )

    def run(self, ctx: StageContext) -> StageResult:
        segments = read_segments(ctx.input(ArtifactType.SEGMENTS).path)
        first, last = (ctx.shard.spec["from"], ctx.shard.spec["to"]) if ctx.shard else (0, len(segments))
        began = time.monotonic()
        provider = ctx.router.tts(ctx.language) if segments else None
        voice = ctx.params.get("voices", {}).get(ctx.language, "")
        speaker = _Speaker(ctx, provider, voice)
        spoken = speaker.speak(segments, first, last, float(ctx.facts("probe").get("duration", 0.0)))
        index = _write_voice(ctx, segments[first:last], spoken)
        usage = {
            "characters": sum(len(s.text) for s in segments[first:last]),
            "engine_ms": round((time.monotonic() - began) * 1000),
            "audio_seconds": round(sum(line["samples"] / line["sample_rate"] for line in index["lines"]), 3),
        }
        facts = {"lines": last - first, "voice": voice, "cached_lines": speaker.cached}
        return _result(ctx, index, facts, provider.id if provider else "", usage, with_voice=bool(index["lines"]))

    def join(self, ctx: StageContext) -> StageResult:
        indexes = [json.loads(part.path.read_text(encoding="utf-8")) for part in ctx.inputs(ArtifactType.VOICE_INDEX)]
        whole = {"language": ctx.language, "lines": [line for index in indexes for line in index["lines"]]}
        results = ctx.shard_results()
        facts = {
            "lines": len(whole["lines"]),
            "voice": results[0].facts.get("voice", ""),
            "cached_lines": sum(int(result.facts.get("cached_lines", 0)) for result in results),
        }
        return _result(ctx, whole, facts, results[0].provider, {}, with_voice=False)


class _Speaker:
    """Speaks the lines of one shard."""

    def __init__(self, ctx: StageContext, provider: TtsProvider | None, voice: str) -> None:
        self._ctx = ctx
        self._provider = provider
        self._voice = voice
        self.cached = 0

    def speak(self, segments: Sequence[Segment], first: int, last: int, film: float) -> list[Spoken]:
        """The lines from ``first`` to before ``last``, each at the speed that its slot asks for."""
        mine = segments[first:last]
        natural = self._wavs([Line(segment.text) for segment in mine])
        starts, ends = [s.start for s in segments], [s.end for s in segments]
        room = slots(starts, ends, film or (ends[-1] if ends else 0.0))[first:last]
        limit = float(self._ctx.params.get("max_speed", 1.4))
        seconds = [_seconds(wav) for wav in natural]
        speeds = [
            wanted_speed(length, slot, max_speed=limit) for length, slot in zip(seconds, room, strict=True)
        ]
        hurried = [n for n, speed in enumerate(speeds) if speed > 1 + SPEED_STEP]
        # A little faster than asked: engines round their pace.
        lines = [Line(mine[n].text, _stepped(speeds[n])) for n in hurried]
        faster = dict(zip(hurried, self._wavs(lines), strict=True))
        return [
            Spoken(faster.get(n, wav), seconds[n], seconds[n] / (_seconds(faster[n]) or 1.0) if n in faster else 1.0)
            for n, wav in enumerate(natural)
        ]

    def _wavs(self, lines: Sequence[Line]) -> list[bytes]:
        """Each line's audio, from the pieces where it was spoken before."""
        if self._provider is None or not lines:
            return []
        ctx, provider = self._ctx, self._provider
        how = {"voice": self._voice, "language": ctx.language}
        digests = [piece_digest("tts", provider, text=line.text, speed=line.speed, **how) for line in lines]
        known = ctx.pieces.get_many(digests)
        self.cached += sum(digest in known for digest in digests)
        missing = {digest: line for digest, line in zip(digests, lines, strict=True) if digest not in known}
        size = max(1, provider.capabilities().batch_size)
        for at in range(0, len(missing), size):
            ctx.check_cancelled()
            batch = dict(list(missing.items())[at : at + size])
            fresh = self._ask(provider, batch)
            ctx.pieces.put_many(fresh)
            known |= fresh
            ctx.progress(min(at + size, len(missing)), len(missing), "lines")
        return [known[digest] for digest in digests]

    def _ask(self, provider: TtsProvider, batch: dict[str, Line]) -> dict[str, bytes]:
        out = self._ctx.work / "lines"
        out.mkdir(exist_ok=True)
        paths = provider.synthesize(
            list(batch.values()),
            language=self._ctx.language,
            voice=self._voice,
            out=out,
            check=self._ctx.check_cancelled,
        )
        if len(paths) != len(batch):
            raise ProviderFailed(f"{provider.id} spoke {len(paths)} of {len(batch)} lines.")
        made = {digest: path.read_bytes() for digest, path in zip(batch, paths, strict=True)}
        for path in paths:
            path.unlink(missing_ok=True)
        return made


def _stepped(speed: float) -> float:
    return round(min(1.5, speed + SPEED_STEP), 2)


def _seconds(wav: bytes) -> float:
    with wave.open(BytesIO(wav), "rb") as audio:
        return audio.getnframes() / audio.getframerate()


def _write_voice(ctx: StageContext, segments: Sequence[Segment], spoken: Sequence[Spoken]) -> dict[str, Any]:
    """One WAV with all lines, and the index of where each stands in it."""
    name = f"voice.{ctx.language}.{ctx.shard.index if ctx.shard else 1:04d}.wav"
    lines: list[dict[str, Any]] = []
    path = ctx.work / name
    out: wave.Wave_write | None = None
    at = 0
    for segment, line in zip(segments, spoken, strict=True):
        with wave.open(BytesIO(line.wav), "rb") as audio:
            rate, frames = audio.getframerate(), audio.readframes(audio.getnframes())
        if out is None:
            out = wave.open(str(path), "wb")  # noqa: SIM115 - its rate is known only now; closed below
            out.setnchannels(1)
            out.setsampwidth(2)
            out.setframerate(rate)
        samples = len(frames) // 2
        out.writeframes(frames)
        lines.append(
            {
                "id": segment.id,
                "file": name,
                "offset_samples": at,
                "samples": samples,
                "sample_rate": rate,
                "natural_seconds": round(line.natural, 4),
                "speed": round(line.speed, 4),
            }
        )
        at += samples
    if out is not None:
        out.close()
    return {"language": ctx.language, "lines": lines}


def _result(
    ctx: StageContext,
    index: dict[str, Any],
    facts: dict[str, Any],
    provider: str,
    usage: dict[str, float],
    *,
    with_voice: bool,
) -> StageResult:
    part = f".{ctx.shard.index:04d}" if ctx.shard else ""
    path: Path = ctx.work / f"voice.{ctx.language}{part}.json"
    path.write_text(json.dumps(index), encoding="utf-8")
    made = [Produced(path.name, path, ArtifactType.VOICE_INDEX, "application/json", public=False)]
    if with_voice:
        voice = ctx.work / index["lines"][0]["file"]
        made.append(Produced(voice.name, voice, ArtifactType.VOICE, "audio/wav", public=False))
    return StageResult(made, facts, provider=provider, usage=usage)
