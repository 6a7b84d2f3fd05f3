"""A pipeline that does nothing, for measuring the engine alone. ``DRAGOMAN_PLUGINS=bench.noop_pipeline`` brings it."""

from __future__ import annotations

import time

from pydantic import BaseModel, ConfigDict

from media_pipeline.contract import (
    ArtifactType,
    BaseStage,
    Deadline,
    Pipeline,
    Produced,
    Shard,
    ShardRequest,
    StageContext,
    StageResult,
)


class NoopParams(BaseModel):
    """``shards``: how many stages there are; ``seconds``: how long each sleeps; ``nonce``: makes each job its own."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    shards: int = 1
    seconds: float = 0.0
    nonce: str = ""


class Noop(BaseStage):
    """Each shard tells one fact; the join writes one file."""

    name = "noop"
    produces = (ArtifactType.QC,)
    params = ("shards", "seconds", "nonce")
    deadline = Deadline(fixed=600)

    def shards(self, request: ShardRequest) -> tuple[Shard, ...]:
        """As many as the job says."""
        return tuple(Shard(index, {"n": index}) for index in range(1, int(request.params["shards"]) + 1))

    def run(self, ctx: StageContext) -> StageResult:
        """Nothing, or sleep."""
        until = time.monotonic() + float(ctx.params["seconds"])
        while (left := until - time.monotonic()) > 0:
            ctx.check_cancelled()
            time.sleep(min(0.1, left))
        return StageResult(facts={"n": ctx.shard.index if ctx.shard else 0})

    def join(self, ctx: StageContext) -> StageResult:
        """Count."""
        path = ctx.work / "noop.txt"
        path.write_text(str(len(ctx.shard_results())), encoding="utf-8")
        return StageResult([Produced(path.name, path, ArtifactType.QC, "text/plain")])


NOOP = Pipeline(kind="noop", stages=("noop",), accepts=("video", "audio"), params_model=NoopParams)
STAGES = ("bench.noop_pipeline.Noop",)
PIPELINES = ("bench.noop_pipeline.NOOP",)
