"""Looks at what came in, before anything is done with it."""

from __future__ import annotations

import json

from media_pipeline.contract import ArtifactType, BaseStage, Produced, Queue, StageContext, StageResult
from media_pipeline.tools.media_info import MediaInfo, probe_file


class Probe(BaseStage):
    """Refuses what cannot be worked on, and tells later stages what they deal with."""

    name = "probe"
    queue = Queue.IO
    consumes = (ArtifactType.SOURCE_MEDIA,)
    produces = (ArtifactType.PROBE,)

    def run(self, ctx: StageContext) -> StageResult:
        info = probe_file(ctx.input(ArtifactType.SOURCE_MEDIA).path, check=ctx.check_cancelled)
        path = ctx.work / "probe.json"
        path.write_text(json.dumps(info.to_json(), indent=1), encoding="utf-8")
        made = Produced("probe.json", path, ArtifactType.PROBE, "application/json", public=False)
        return StageResult([made], info.facts())


__all__ = ["MediaInfo", "Probe", "probe_file"]
