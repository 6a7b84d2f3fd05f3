"""Turns an order into stage runs, and finds out which of them may go ahead.

A job begins with one run per stage and language. A run whose predecessors are done is, in this order: skipped, when
its output exists already; cut into shards, when its stage says so; or ready. The run that was cut waits for its shards
and then joins them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Q

from assets import storage
from jobs.models import Artifact, Job, StageRun
from jobs.models.stage_run import WHOLE
from jobs.services.transitions import JobScope
from jobs.state import RUN_DONE, RunStatus
from media_pipeline import registry
from media_pipeline.contract import ArtifactType, Scope, Shard, ShardRequest, Stage
from media_pipeline.errors import PipelineError
from media_pipeline.providers.router import ProviderRouter

WISHES = ("asr", "mt", "tts")
CHECKED_FILES = 20
"""Files of a cached output that are looked for before it is reused."""


def plan_of(kind: str) -> dict[str, Any]:
    """The snapshot of a pipeline that a job keeps: what ran is known even after an upgrade."""
    edges = registry.edges(kind)
    stages = [registry.stages()[name] for name in registry.pipeline(kind).stages]
    return {
        "stages": [
            {
                "name": stage.name,
                "version": stage.version,
                "scope": stage.scope.value,
                "queue": stage.queue.value,
                "after": list(edges[stage.name]),
            }
            for stage in stages
        ]
    }


def languages_of(scope: str, job: Job) -> list[str]:
    """The languages for which a stage of this scope runs in this job."""
    if scope == Scope.JOB:
        return [""]
    if scope == Scope.TARGET:
        return list(job.target_languages)
    return list(dict.fromkeys([job.source_language, *job.target_languages]))


def runs_for(job: Job, media_seconds: float) -> list[StageRun]:
    """The whole runs of a job, not saved yet."""
    runs = []
    for position, entry in enumerate(job.plan["stages"]):
        stage = registry.stages()[entry["name"]]
        runs += [
            StageRun(
                job=job,
                owner_id=job.owner_id,
                stage=stage.name,
                language=language,
                position=position,
                media_seconds=media_seconds,
                queue=stage.queue.value,
                priority=job.priority,
                max_attempts=stage.retry.max_attempts,
            )
            for language in languages_of(entry["scope"], job)
        ]
    return runs


def wishes_of(params: Mapping[str, Any]) -> dict[str, str]:
    """The providers that a job asks for."""
    return {kind: params[f"{kind}_provider"] for kind in WISHES if params.get(f"{kind}_provider")}


def router_for(job: Job) -> ProviderRouter:
    """The providers, with this job's wishes."""
    return registry.router().wishing(wishes_of(job.params))


@dataclass(slots=True)
class Picture:
    """A job's whole runs and artifacts as one transaction sees them."""

    job: Job
    runs: list[StageRun]
    after: dict[str, list[str]]

    @classmethod
    def of(cls, job: Job) -> Picture:
        """Read it."""
        runs = list(StageRun.objects.filter(job=job, shard=WHOLE))
        return cls(job, runs, {entry["name"]: entry["after"] for entry in job.plan["stages"]})

    def predecessors(self, run: StageRun) -> list[StageRun]:
        """The runs that this one waits for: its own language's, and those of scope JOB; for a run of scope JOB all."""
        before = self.after[run.stage]
        return [
            other
            for other in self.runs
            if other.stage in before and (not run.language or other.language in {"", run.language})
        ]

    def facts(self, run: StageRun) -> dict[str, dict[str, Any]]:
        """What the stages before reported, by stage."""
        return {
            other.stage: other.outputs.get("facts", {})
            for other in self.runs
            if other.status in RUN_DONE and (other.language in {"", run.language})
        }


def inputs_of(run: StageRun, stage: Stage, after: Sequence[str]) -> list[Artifact]:
    """The artifacts that a run consumes: of each stage before, those of its join, else those of its shards."""
    wanted = {type.value for type in (*stage.consumes, *stage.optional)}
    query = Artifact.objects.filter(job_id=run.job_id, stage__in=after, type__in=wanted)
    if run.language:
        query = query.filter(Q(language="") | Q(language=run.language))
    found = list(query.order_by("type", "language", "shard", "name"))
    joined = {(a.stage, a.language, a.type) for a in found if a.shard == WHOLE}
    return [a for a in found if a.shard == WHOLE or (a.stage, a.language, a.type) not in joined]


def provider_prints(run: StageRun, stage: Stage, job: Job) -> list[str]:
    """Who would do the work, and in which version: part of the digest."""
    router = router_for(job)
    prints = []
    for kind in stage.uses:
        try:
            if kind == "asr":
                provider: Any = router.asr(job.source_language)
            elif kind == "mt" and job.source_language == run.language:
                continue
            elif kind == "mt":
                provider = router.mt(job.source_language, run.language)
            else:
                provider = router.tts(run.language)
            prints.append(f"{provider.id}@{provider.fingerprint()}")
        except PipelineError as error:
            prints.append(error.specific_code)
    return prints


def digest_of(run: StageRun, stage: Stage, job: Job, inputs: Iterable[Artifact], shard: Shard | None = None) -> str:
    """What makes a run's output, as one SHA-256."""
    inputs = list(inputs)
    source = job.asset.sha256 if job.asset and ArtifactType.SOURCE_MEDIA in stage.consumes else ""
    gathers = stage.scope is Scope.JOB and any(artifact.language for artifact in inputs)
    made_of = {
        "stage": [stage.name, stage.version],
        "params": {name: job.params.get(name) for name in stage.params},
        "languages": [job.source_language, run.language, *(job.target_languages if gathers else ())],
        "title": job.title if ArtifactType.MP4 in stage.produces else "",
        "providers": provider_prints(run, stage, job),
        "source": source,
        "inputs": [[a.type, a.language, a.shard, a.name, a.sha256] for a in inputs],
        "shard": [shard.index, dict(shard.spec)] if shard else None,
    }
    return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()


def advance(scope: JobScope) -> None:
    """Let every run go ahead that can: called in the transaction of whatever made that possible."""
    moved = True
    while moved:
        moved = False
        picture = Picture.of(scope.job)
        for run in picture.runs:
            if run.status != RunStatus.WAITING:
                continue
            if run.shards_total is not None:
                moved |= _join_when_done(scope, run)
            elif all(other.status in RUN_DONE for other in picture.predecessors(run)):
                moved |= _go_ahead(scope, picture, run)


def _go_ahead(scope: JobScope, picture: Picture, run: StageRun) -> bool:
    """Skip, cut or ready one run whose predecessors are done; True when others may now go ahead, too."""
    stage = registry.stages()[run.stage]
    inputs = inputs_of(run, stage, picture.after[run.stage])
    digest = digest_of(run, stage, scope.job, inputs)
    if not run.fresh and skip_if_known(scope, run, digest):
        return True
    request = ShardRequest(language=run.language, params=scope.job.params, facts=picture.facts(run))
    shards = stage.shards(request)
    if len(shards) < 2:
        scope.run_to(run, RunStatus.READY, input_digest=digest, ready_at=scope.now, run_after=None)
        return False
    return _cut(scope, run, stage=stage, shards=shards, inputs=inputs, digest=digest)


def _cut(
    scope: JobScope, run: StageRun, *, stage: Stage, shards: Sequence[Shard], inputs: list[Artifact], digest: str
) -> bool:
    """Make or take up again the runs of a stage's shards."""
    known = {child.shard: child for child in StageRun.objects.filter(_siblings(run))}
    StageRun.objects.filter(_siblings(run), shard__gt=len(shards)).delete()
    made = []
    for shard in shards:
        child = known.get(shard.index) or StageRun(job=scope.job, owner_id=run.owner_id, shard=shard.index)
        child.stage, child.language, child.position, child.queue = run.stage, run.language, run.position, run.queue
        child.priority, child.max_attempts, child.fresh = run.priority, run.max_attempts, run.fresh
        child.shard_spec, child.media_seconds = dict(shard.spec), shard.media_seconds
        child.input_digest = digest_of(child, stage, scope.job, inputs, shard)
        child.ready_at, child.run_after = scope.now, None
        made.append(child)
    new = [child for child in made if child.pk is None]
    StageRun.objects.bulk_create(new)
    old = [child for child in made if child.shard in known]
    StageRun.objects.bulk_update(
        old, ["shard_spec", "media_seconds", "input_digest", "ready_at", "run_after", "fresh", "priority"]
    )
    StageRun.objects.filter(pk=run.pk).update(shards_total=len(shards), input_digest=digest)
    run.shards_total, run.input_digest = len(shards), digest
    skipped = set() if run.fresh else {c.pk for c in made if skip_if_known(scope, c, c.input_digest)}
    scope.runs_to([child.pk for child in made if child.pk not in skipped], RunStatus.READY)
    return len(skipped) == len(made)


def _siblings(run: StageRun) -> Q:
    return Q(job_id=run.job_id, stage=run.stage, language=run.language, shard__gt=WHOLE)


def _join_when_done(scope: JobScope, run: StageRun) -> bool:
    """A run that was cut goes ahead when all its shards are done."""
    if shards_done(run):
        scope.run_to(run, RunStatus.READY, ready_at=scope.now, run_after=None)
    return False


def shards_done(run: StageRun) -> bool:
    """Whether every shard of this run, or every one beside this shard, is done."""
    return not StageRun.objects.filter(_siblings(run)).exclude(status__in=RUN_DONE).exists()


def skip_if_known(scope: JobScope, run: StageRun, digest: str) -> bool:
    """Skip the run when its owner has its output already: the artifacts are listed again under this job."""
    twin = (
        StageRun.objects.filter(owner_id=run.owner_id, input_digest=digest, status__in=RUN_DONE)
        .exclude(pk=run.pk)
        .order_by("-pk")
        .first()
    )
    if twin is None:
        return False
    files = _artifacts_of(twin)
    if not _still_there(files):
        return False
    moved = scope.run_to(
        run,
        RunStatus.SKIPPED,
        data={"cached": True},
        input_digest=digest,
        outputs=twin.outputs,
        provider=twin.provider,
        cached=True,
        progress=100.0,
        finished_at=scope.now,
    )
    if moved:
        Artifact.objects.bulk_create([_copied(a, run) for a in files], ignore_conflicts=True)
        apply_facts(scope, run)
    return moved


def _artifacts_of(twin: StageRun) -> list[Artifact]:
    """What a run gave: for a whole run that was cut, its shards' files, too."""
    query = Artifact.objects.filter(job_id=twin.job_id, stage=twin.stage, language=twin.language)
    return list(query if twin.shard == WHOLE else query.filter(shard=twin.shard))


def _still_there(files: Sequence[Artifact]) -> bool:
    return not storage.is_local() or all(storage.path_of(a.storage_key).is_file() for a in files[:CHECKED_FILES])


def _copied(artifact: Artifact, run: StageRun) -> Artifact:
    return Artifact(
        job_id=run.job_id,
        run=run,
        stage=artifact.stage,
        language=run.language,
        shard=artifact.shard,
        name=artifact.name,
        type=artifact.type,
        media_type=artifact.media_type,
        storage_key=artifact.storage_key,
        size=artifact.size,
        sha256=artifact.sha256,
        public=artifact.public,
    )


def apply_facts(scope: JobScope, run: StageRun) -> None:
    """What a finished stage changes on its job: the language that was heard, warnings, usage."""
    job = scope.job
    heard = run.outputs.get("facts", {}).get("language")
    if run.stage == "asr" and run.shard == WHOLE and heard and job.source_language == "auto":
        unknown = StageRun.objects.filter(job=job, language="auto")
        if heard in job.target_languages:  # that language has a track of its own already
            unknown.delete()
        else:
            unknown.update(language=heard)
        scope.change(source_language=heard)
    if warnings := [w for w in run.outputs.get("warnings", []) if w not in job.warnings]:
        scope.change(warnings=[*job.warnings, *warnings])
    if not run.cached and (used := run.outputs.get("usage")):
        total = {name: job.usage.get(name, 0) + used.get(name, 0) for name in {*job.usage, *used}}
        scope.change(usage=total)
