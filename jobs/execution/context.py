"""What a stage sees while a worker runs it: rows turned into files, facts and a router."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import structlog

from assets import storage
from jobs.execution import cache
from jobs.models import Artifact, StageRun
from jobs.models.stage_run import WHOLE
from jobs.services import claims, planning
from jobs.services.claims import Claim
from jobs.services.patience import patiently
from jobs.services.pieces import OwnerPieces
from jobs.services.ticks import tick
from jobs.state import RUN_DONE
from media_pipeline import registry
from media_pipeline.contract import ArtifactType, InputFile, PieceStore, Shard, StageLog, StageResult
from media_pipeline.errors import ContractBroken, LeaseLost
from media_pipeline.providers.router import ProviderRouter

TICK_SECONDS = 0.5


class RowContext:
    """The StageContext of one claimed run."""

    def __init__(self, claim: Claim, work: Path, check: Callable[[], None]) -> None:
        self._claim = claim
        self._work = work
        self._check = check
        self._stage = registry.stages()[claim.run.stage]
        self._ticked = 0.0
        run, job = claim.run, claim.job
        self.shard: Shard | None = Shard(run.shard, run.shard_spec, run.media_seconds) if run.shard != WHOLE else None
        self.job_id = str(job.pk)
        self.title = job.title
        self.language = run.language
        self.source_language = job.source_language
        self.target_languages: tuple[str, ...] = tuple(job.target_languages)
        self.params: Mapping[str, Any] = job.params
        self.router: ProviderRouter = planning.router_for(job)
        self.pieces: PieceStore = OwnerPieces(job.owner_id)
        self.log: StageLog = structlog.get_logger("stage")

    @property
    def work(self) -> Path:
        return self._work

    def inputs(self, type: ArtifactType, *, language: str | None = None) -> tuple[InputFile, ...]:
        if type is ArtifactType.SOURCE_MEDIA:
            return self._source()
        return tuple(
            self._file(row)
            for row in self._files
            if row.type == type.value and (language is None or row.language == language)
        )

    def input(self, type: ArtifactType, *, language: str | None = None) -> InputFile:
        found = self.inputs(type, language=language)
        if len(found) != 1:
            raise ContractBroken(f"{self._stage.name} wants one {type.value}; there are {len(found)}.")
        return found[0]

    def facts(self, stage: str) -> Mapping[str, Any]:
        return patiently(lambda: self._picture.facts(self._claim.run)).get(stage, {})

    def shard_results(self) -> tuple[StageResult, ...]:
        run = self._claim.run
        rows = StageRun.objects.filter(
            job_id=run.job_id, stage=run.stage, language=run.language, shard__gt=WHOLE, status__in=RUN_DONE
        ).order_by("shard")
        return tuple(
            StageResult(
                facts=row.outputs.get("facts", {}),
                provider=row.provider,
                warnings=row.outputs.get("warnings", []),
                usage=row.outputs.get("usage", {}),
            )
            for row in patiently(lambda: list(rows))
        )

    def progress(self, done: float, total: float, unit: str = "") -> None:
        now = time.monotonic()
        if now - self._ticked < TICK_SECONDS:
            return
        self._ticked = now
        percent = round(min(100.0, 100 * done / total), 1) if total else 0.0
        data = {"done": round(done, 2), "total": round(total, 2), "unit": unit}
        if not patiently(lambda: self._tell(percent, data)):
            raise LeaseLost

    def _tell(self, percent: float, data: dict[str, Any]) -> bool:
        if not claims.run_progress(claim=self._claim, percent=percent, data=data):
            return False
        tick(self._claim, percent, data)
        return True

    def check_cancelled(self) -> None:
        self._check()

    @cached_property
    def _picture(self) -> planning.Picture:
        return patiently(lambda: planning.Picture.of(self._claim.job))

    @cached_property
    def _files(self) -> list[Artifact]:
        """What the stage consumes; none of it changes while it runs."""
        return patiently(self._find_files)

    def _find_files(self) -> list[Artifact]:
        run = self._claim.run
        files = planning.inputs_of(run, self._stage, self._picture.after[run.stage])
        if run.shard == WHOLE and run.shards_total:
            own = Artifact.objects.filter(job_id=run.job_id, stage=run.stage, language=run.language, shard__gt=WHOLE)
            files += list(own.order_by("shard", "name"))
        return files

    def _source(self) -> tuple[InputFile, ...]:
        asset = patiently(lambda: self._claim.job.asset)
        if asset is None:
            return ()
        path = storage.fetch(asset.storage_key, cache.place(asset.sha256, asset.storage_key))
        return (
            InputFile(
                name=f"source{Path(asset.storage_key).suffix}",
                path=path,
                type=ArtifactType.SOURCE_MEDIA,
                stage="",
                language="",
                shard=WHOLE,
                sha256=asset.sha256,
                media_type=asset.media_type,
            ),
        )

    def _file(self, row: Artifact) -> InputFile:
        return InputFile(
            name=row.name,
            path=storage.fetch(row.storage_key, cache.place(row.sha256, row.storage_key)),
            type=ArtifactType(row.type),
            stage=row.stage,
            language=row.language,
            shard=row.shard,
            sha256=row.sha256,
            media_type=row.media_type,
        )
