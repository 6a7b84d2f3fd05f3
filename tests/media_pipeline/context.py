"""A StageContext over plain files, for running one stage alone."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from media_pipeline.contract import ArtifactType, InputFile, Shard, ShardRequest, Stage, StageResult
from media_pipeline.errors import ContractBroken
from media_pipeline.providers.base import Provider
from media_pipeline.providers.router import ProviderRouter


class Pieces:
    """A PieceStore in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def get_many(self, digests: Sequence[str]) -> dict[str, bytes]:
        return {digest: self.kept[digest] for digest in digests if digest in self.kept}

    def put_many(self, pieces: Mapping[str, bytes]) -> None:
        self.kept.update(pieces)


@dataclass
class FileContext:
    """What a stage gets; ``files`` are its inputs."""

    work: Path
    language: str = ""
    source_language: str = "en"
    target_languages: tuple[str, ...] = ("es",)
    params: Mapping[str, Any] = field(default_factory=dict)
    known: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    providers: Sequence[Provider] = ()
    files: list[InputFile] = field(default_factory=list)
    pieces: Pieces = field(default_factory=Pieces)
    shard: Shard | None = None
    results: tuple[StageResult, ...] = ()
    job_id: str = "job"
    title: str = "A talk"
    log: Any = field(default_factory=lambda: structlog.get_logger("stage"))
    cancelled: Exception | None = None

    @property
    def router(self) -> ProviderRouter:
        return ProviderRouter(self.providers)

    def add(self, path: Path, type: ArtifactType, *, stage: str = "", language: str = "", shard: int = 0) -> None:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        self.files.append(InputFile(path.name, path, type, stage, language, shard, digest, ""))

    def inputs(self, type: ArtifactType, *, language: str | None = None) -> tuple[InputFile, ...]:
        return tuple(f for f in self.files if f.type is type and language in (None, f.language))

    def input(self, type: ArtifactType, *, language: str | None = None) -> InputFile:
        found = self.inputs(type, language=language)
        if len(found) != 1:
            raise ContractBroken(f"one {type.value} wanted, {len(found)} there")
        return found[0]

    def facts(self, stage: str) -> Mapping[str, Any]:
        return self.known.get(stage, {})

    def shard_results(self) -> tuple[StageResult, ...]:
        return self.results

    def progress(self, done: float, total: float, unit: str = "") -> None:
        pass

    def check_cancelled(self) -> None:
        if self.cancelled is not None:
            raise self.cancelled


def run_stage(stage: Stage, ctx: FileContext) -> tuple[StageResult, list[InputFile]]:
    """Run it as the office would: its shards and their join, or whole. The result, and what later stages get."""
    request = ShardRequest(ctx.language, ctx.params, ctx.known)
    shards = stage.shards(request)
    if len(shards) < 2:
        result = stage.run(_at(ctx, None, "whole", ()))
        return result, _files(stage, ctx, result, 0)
    results, made = [], []
    for shard in shards:
        result = stage.run(_at(ctx, shard, f"shard-{shard.index}", ()))
        results.append(result)
        made += _files(stage, ctx, result, shard.index)
    joining = _at(ctx, None, "join", tuple(results))
    joining.files = [*ctx.files, *made]
    result = stage.join(joining)
    joined = _files(stage, ctx, result, 0)
    types = {file.type for file in joined}
    return result, [*joined, *(file for file in made if file.type not in types)]


def _at(ctx: FileContext, shard: Shard | None, name: str, results: tuple[StageResult, ...]) -> FileContext:
    work = ctx.work / name
    work.mkdir(parents=True, exist_ok=True)
    return FileContext(**{**ctx.__dict__, "work": work, "shard": shard, "results": results})


def _files(stage: Stage, ctx: FileContext, result: StageResult, shard: int) -> list[InputFile]:
    return [
        InputFile(p.name, p.path, p.type, stage.name, ctx.language, shard, "", p.media_type) for p in result.artifacts
    ]
