"""Speech recognition: windows of speech side by side, then sentences from all words."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict

from media_pipeline.contract import (
    ArtifactType,
    BaseStage,
    Deadline,
    Produced,
    Shard,
    ShardRequest,
    StageContext,
    StageResult,
)
from media_pipeline.segments import Word, write_segments
from media_pipeline.tools.sentences import sentences_from_words

SHARD_SECONDS = 12.0
"""Speech in one shard: short enough that all workers end together, long enough that a message costs nothing."""


class Asr(BaseStage):
    """Shards are groups of neighbouring windows of speech."""

    name = "asr"
    consumes = (ArtifactType.SPEECH,)
    produces = (ArtifactType.SEGMENTS_SRC,)
    uses = ("asr",)
    params = ("asr_provider",)
    deadline = Deadline(fixed=120, per_media_second=8)

    def shards(self, request: ShardRequest) -> tuple[Shard, ...]:
        windows = request.facts.get("extract", {}).get("windows", [])
        return tuple(
            Shard(index, {"windows": group}, round(sum(end - start for start, end in group), 3))
            for index, group in enumerate(_grouped(windows), 1)
        )

    def run(self, ctx: StageContext) -> StageResult:
        windows = ctx.shard.spec["windows"] if ctx.shard else ctx.facts("extract").get("windows", [])
        began = time.monotonic()
        words, language, provider = _recognise(ctx, windows)
        seconds = sum(end - start for start, end in windows)
        usage = {"audio_seconds": round(seconds, 3), "engine_ms": round((time.monotonic() - began) * 1000)}
        if ctx.shard is None:
            return _result(ctx, words, language, provider, usage)
        path = ctx.work / f"words.{ctx.shard.index:04d}.json"
        path.write_text(json.dumps([asdict(word) for word in words], ensure_ascii=False), encoding="utf-8")
        part = Produced(path.name, path, ArtifactType.SEGMENTS_SRC, "application/json", public=False)
        return StageResult([part], {"language": language, "words": len(words)}, provider=provider, usage=usage)

    def join(self, ctx: StageContext) -> StageResult:
        words: list[Word] = []
        for part in ctx.inputs(ArtifactType.SEGMENTS_SRC):
            words += [Word(**word) for word in json.loads(part.path.read_text(encoding="utf-8"))]
        results = ctx.shard_results()
        heard = [result.facts["language"] for result in results]
        language = max(set(heard), key=heard.count) if heard else _language(ctx)
        return _result(ctx, words, language, results[0].provider if results else "", {})


def _grouped(windows: Sequence[Sequence[float]]) -> Iterable[list[list[float]]]:
    group: list[list[float]] = []
    seconds = 0.0
    for start, end in windows:
        if group and seconds + (end - start) / 2 > SHARD_SECONDS:
            yield group
            group, seconds = [], 0.0
        group.append([start, end])
        seconds += end - start
    if group:
        yield group


def _language(ctx: StageContext) -> str:
    return "en" if ctx.source_language == "auto" else ctx.source_language


def _recognise(ctx: StageContext, windows: Sequence[Sequence[float]]) -> tuple[list[Word], str, str]:
    """The words of these windows, the language heard, and who heard it."""
    if not windows:
        return [], _language(ctx), ""
    recogniser = ctx.router.asr(ctx.source_language)
    audio = ctx.input(ArtifactType.SPEECH).path
    total = sum(end - start for start, end in windows)
    words: list[Word] = []
    language, done = _language(ctx), 0.0
    for start, end in windows:
        ctx.check_cancelled()
        heard = recogniser.transcribe(
            audio, start=start, end=end, language=ctx.source_language, check=ctx.check_cancelled
        )
        words += heard.words
        language = heard.language
        done += end - start
        ctx.progress(done, total, "s")
    return words, language, recogniser.id


def _result(
    ctx: StageContext, words: Sequence[Word], language: str, provider: str, usage: dict[str, float]
) -> StageResult:
    segments = sentences_from_words(words, language=language)
    path = ctx.work / "segments_src.json"
    write_segments(path, segments, language=language)
    return StageResult(
        [Produced("segments_src.json", path, ArtifactType.SEGMENTS_SRC, "application/json")],
        {
            "language": language,
            "segments": len(segments),
            "words": len(words),
            "characters": sum(len(s.text) for s in segments),
            "speech_seconds": round(sum(s.duration for s in segments), 3),
        },
        provider=provider,
        usage=usage,
    )
