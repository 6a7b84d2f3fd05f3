"""A pipeline whose stages take no time and do what a test tells them: ``tiny`` is first → cut → last.

Tests steer it with files in the folder that the job's params name: ``<stage>.fail`` (how often), ``<stage>.crash``
(how often the process dies), ``<stage>.hold`` (wait while it exists), ``<stage>.child`` (run a program that sleeps),
``<stage>.deaf`` (never ask whether to stop). Every run adds a line to ``effects``.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from media_pipeline.contract import (
    ArtifactType,
    BaseStage,
    Deadline,
    Pipeline,
    Produced,
    RetryPolicy,
    Scope,
    Shard,
    ShardRequest,
    StageContext,
    StageResult,
)
from media_pipeline.errors import Refused, Unavailable
from media_pipeline.tools.process import Limits, run


class TinyParams(BaseModel):
    """``word`` is what the stages write."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    folder: str
    shards: int = 1
    word: str = "hello"


class Busy(Unavailable):
    """The provider is busy."""

    code = "busy"


class Tiny(BaseStage):
    """Obeys the folder, then writes one small file."""

    name: ClassVar[str]
    made: ClassVar[ArtifactType]
    params = ("folder", "word")
    retry = RetryPolicy(max_attempts=4, base=0.01, cap=0.05)
    deadline = Deadline(fixed=600)

    def run(self, ctx: StageContext) -> StageResult:
        """Write what came in, the word, and where we are."""
        _obey(self.name, Path(str(ctx.params["folder"])), ctx)
        return self._write(ctx)

    def _write(self, ctx: StageContext) -> StageResult:
        place = "-".join(filter(None, (self.name, ctx.language, str(ctx.shard.index) if ctx.shard else "")))
        came = [file.path.read_text() for kind in self.consumes for file in ctx.inputs(kind)]
        name = f"{place}.txt"
        (ctx.work / name).write_text(f"{place}:{ctx.params['word']}({'+'.join(came)})")
        with (Path(str(ctx.params["folder"])) / "effects").open("a") as effects:
            effects.write(f"{place}\n")
        return StageResult(artifacts=[Produced(name, ctx.work / name, self.made, "text/plain")], facts={"place": place})


class First(Tiny):
    """Begins."""

    name = "first"
    made = ArtifactType.PROBE
    produces = (ArtifactType.PROBE,)


class Cut(Tiny):
    """In each language, in as many shards as the job says."""

    name = "cut"
    scope = Scope.TARGET
    made = ArtifactType.SEGMENTS
    consumes = (ArtifactType.PROBE,)
    produces = (ArtifactType.SEGMENTS,)

    def shards(self, request: ShardRequest) -> tuple[Shard, ...]:
        """1 to n."""
        return tuple(Shard(index, {"n": index}) for index in range(1, int(request.params["shards"]) + 1))

    def join(self, ctx: StageContext) -> StageResult:
        """All of them in one file."""
        texts = [file.path.read_text() for file in ctx.inputs(ArtifactType.SEGMENTS)]
        path = ctx.work / f"joined-{ctx.language}.txt"
        path.write_text("|".join(texts))
        return StageResult(artifacts=[Produced(path.name, path, ArtifactType.SEGMENTS, "text/plain")])


class Last(Tiny):
    """Gathers."""

    name = "last"
    made = ArtifactType.QC
    consumes = (ArtifactType.SEGMENTS,)
    produces = (ArtifactType.QC,)


TINY = Pipeline(kind="tiny", stages=("first", "cut", "last"), accepts=("video", "audio"), params_model=TinyParams)
STAGES = tuple(f"{__name__}.{stage.__name__}" for stage in (First, Cut, Last))
PIPELINES = (f"{__name__}.TINY",)


def _obey(stage: str, folder: Path, ctx: StageContext) -> None:
    if _one_less(folder / f"{stage}.crash"):
        os.kill(os.getpid(), signal.SIGKILL)
    if _one_less(folder / f"{stage}.fail"):
        raise Busy("The provider is busy.")
    if _one_less(folder / f"{stage}.refuse"):
        raise Refused("This cannot be done.")
    if _one_less(folder / f"{stage}.bug"):
        raise ZeroDivisionError("a fault of ours")
    if (folder / f"{stage}.child").exists():
        (folder / f"{stage}.began").touch()
        run(["sleep", "300"], limits=Limits(seconds=300), check=ctx.check_cancelled)
    if (folder / f"{stage}.deaf").exists():
        (folder / f"{stage}.began").touch()
        time.sleep(300)
    while (folder / f"{stage}.hold").exists():
        (folder / f"{stage}.began").touch()
        ctx.check_cancelled()
        time.sleep(0.02)


def _one_less(path: Path) -> bool:
    """Take one off the number in a file; False when there is none left."""
    if not path.exists():
        return False
    left = int(path.read_text() or 0)
    if left <= 0:
        return False
    path.write_text(str(left - 1))
    return True
