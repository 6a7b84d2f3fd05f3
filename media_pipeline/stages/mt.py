"""Translation of segments, in shards; what was translated before is taken from the pieces."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence

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
from media_pipeline.providers.base import MtProvider, Translation
from media_pipeline.segments import Segment, read_segments, write_segments
from media_pipeline.tools.digests import piece_digest

SHARD_SEGMENTS = 64
NUMBER = re.compile(r"\d+")


class Mt(BaseStage):
    """One segment in, one segment out, at the same times."""

    name = "mt"
    scope = Scope.TARGET
    consumes = (ArtifactType.SEGMENTS_SRC,)
    produces = (ArtifactType.SEGMENTS,)
    uses = ("mt",)
    params = ("mt_provider",)
    deadline = Deadline(fixed=300, per_media_second=1)

    def shards(self, request: ShardRequest) -> tuple[Shard, ...]:
        facts = request.facts.get("asr", {})
        count, seconds = facts.get("segments", 0), facts.get("speech_seconds", 0.0)
        starts = range(0, count, SHARD_SEGMENTS)
        return tuple(
            Shard(index, {"from": at, "to": min(count, at + SHARD_SEGMENTS)}, round(seconds / len(starts), 3))
            for index, at in enumerate(starts, 1)
        )

    def run(self, ctx: StageContext) -> StageResult:
        source = read_segments(ctx.input(ArtifactType.SEGMENTS_SRC).path)
        name = f"segments.{ctx.language}.json"
        if ctx.shard is not None:
            source = source[ctx.shard.spec["from"] : ctx.shard.spec["to"]]
            name = f"segments.{ctx.language}.{ctx.shard.index:04d}.json"
        began = time.monotonic()
        translated, provider, cached = _translate(ctx, source)
        usage = {
            "characters": sum(len(s.text) for s in source),
            "engine_ms": round((time.monotonic() - began) * 1000),
        }
        return _result(ctx, name, translated, provider=provider, cached=cached, usage=usage)

    def join(self, ctx: StageContext) -> StageResult:
        segments = [s for part in ctx.inputs(ArtifactType.SEGMENTS) for s in read_segments(part.path)]
        results = ctx.shard_results()
        cached = sum(int(result.facts.get("cached_segments", 0)) for result in results)
        return _result(
            ctx, f"segments.{ctx.language}.json", segments, provider=results[0].provider, cached=cached, usage={}
        )


def _translate(ctx: StageContext, source: Sequence[Segment]) -> tuple[list[Segment], str, int]:
    """The translated segments, who did it, and how many were known already."""
    if not source or ctx.language == ctx.source_language:
        return [_translated(ctx, s, Translation(s.text), "none") for s in source], "none", 0
    provider = ctx.router.mt(ctx.source_language, ctx.language)
    pair = [ctx.source_language, ctx.language]
    digests = [piece_digest("mt", provider, pair=pair, text=segment.text) for segment in source]
    known = {digest: piece.decode() for digest, piece in ctx.pieces.get_many(digests).items()}
    cached = sum(digest in known for digest in digests)
    missing = {digest: s.text for digest, s in zip(digests, source, strict=True) if digest not in known}
    known |= _ask(ctx, provider, missing)
    ctx.progress(len(source), len(source), "segments")
    texts = [known[digest] for digest in digests]
    made = [_translated(ctx, s, Translation(t), provider.id) for s, t in zip(source, texts, strict=True)]
    return made, provider.id, cached


def _ask(ctx: StageContext, provider: MtProvider, missing: dict[str, str]) -> dict[str, str]:
    """Translate what is missing in batches of the provider's size, and keep each batch at once."""
    size = max(1, provider.capabilities().batch_size)
    digests = list(missing)
    answered: dict[str, str] = {}
    for at in range(0, len(digests), size):
        ctx.check_cancelled()
        batch = digests[at : at + size]
        answers = provider.translate(
            [missing[d] for d in batch],
            source=ctx.source_language,
            target=ctx.language,
            check=ctx.check_cancelled,
        )
        fresh = {digest: answer.text for digest, answer in zip(batch, answers, strict=True)}
        ctx.pieces.put_many({digest: text.encode() for digest, text in fresh.items()})
        answered |= fresh
        ctx.progress(len(answered), len(missing), "segments")
    return answered


def _translated(ctx: StageContext, segment: Segment, answer: Translation, provider: str) -> Segment:
    return Segment(
        id=f"{ctx.language}-{segment.id}",
        start=segment.start,
        end=segment.end,
        text=answer.text,
        speaker=segment.speaker,
        source_id=segment.id,
        origin="mt",
        provider=provider,
        score=answer.score,
        flags=(*answer.flags, *flags(segment.text, answer.text)),
    )


def flags(source: str, target: str) -> tuple[str, ...]:
    """What looks wrong: nothing translated, or other numbers."""
    found = []
    if len(source.split()) > 3 and source.strip().lower() == target.strip().lower():
        found.append("untranslated")
    if sorted(NUMBER.findall(source)) != sorted(NUMBER.findall(target)):
        found.append("numbers")
    return tuple(found)


def _result(
    ctx: StageContext,
    name: str,
    segments: Sequence[Segment],
    *,
    provider: str,
    cached: int,
    usage: Mapping[str, float],
) -> StageResult:
    path = ctx.work / name
    write_segments(path, segments, language=ctx.language)
    facts = {
        "segments": len(segments),
        "characters": sum(len(s.text) for s in segments),
        "cached_segments": cached,
        "speech_seconds": round(sum(s.duration for s in segments), 3),
    }
    made = Produced(name, path, ArtifactType.SEGMENTS, "application/json", public=ctx.shard is None)
    return StageResult([made], facts, provider=provider, usage=usage)
