"""Takes orders."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any

import structlog
from pydantic import ValidationError

from accounts.errors import FieldError
from accounts.models import User
from assets.models import Asset, AssetStatus
from jobs.errors import (
    AssetUnfit,
    JobInvalid,
    ParamsInvalid,
    UnknownKind,
    UnknownLanguage,
    UnsupportedPair,
)
from jobs.failpoints import Failpoint, failpoint
from jobs.models import Job, StageRun
from jobs.services import dispatch, ending, planning
from jobs.services.transitions import new_job_scope
from jobs.state import JobStatus, Priority
from media_pipeline import languages, registry
from media_pipeline.providers.router import ProviderRouter

MOST_LANGUAGES = 32
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class JobRequest:
    """What a user asks for. Languages are BCP 47; ``source_language`` may be "auto"."""

    kind: str
    asset_id: uuid.UUID | None
    source_language: str
    target_languages: tuple[str, ...]
    title: str = ""
    priority: int = Priority.NORMAL
    params: dict[str, Any] = field(default_factory=dict)


def job_submit(*, owner: User, request: JobRequest) -> Job:
    """Check the order, write the job and its runs in one transaction, and set it going.

    Raises subclasses of JobInvalid that name what can be had instead.
    """
    if request.kind not in registry.pipelines():
        there_are = ", ".join(sorted(registry.pipelines()))
        raise UnknownKind(f"There is no kind {request.kind!r}; there are: {there_are}.", _at("/kind", "unknown"))
    params = checked_params(request.kind, request.params)
    asset = _asset(owner, request)
    source, targets = checked_languages(request.kind, request.source_language, request.target_languages, params)
    job = Job(
        owner=owner,
        asset=asset,
        kind=request.kind,
        title=request.title.strip() or _title_of(asset),
        params=params,
        source_language=source,
        target_languages=list(targets),
        priority=request.priority,
        plan=planning.plan_of(request.kind),
    )
    job.logs_key = f"jobs/{job.pk}/log.jsonl"
    with new_job_scope(job) as scope:
        StageRun.objects.bulk_create(planning.runs_for(scope.job, asset.duration or 0.0))
        scope.emit("job.queued", {"status": JobStatus.QUEUED.value})
        planning.advance(scope)
        ending.end_if_done(scope)  # all of it may be there from a job before
        failpoint(Failpoint.SUBMIT_BEFORE_COMMIT)
    failpoint(Failpoint.SUBMIT_AFTER_COMMIT)
    log.info("job.submitted", job_id=str(job.pk), asset_id=str(asset.pk), kind=job.kind)
    dispatch.dispatch_all()
    return scope.job


def checked_params(kind: str, params: dict[str, Any]) -> dict[str, Any]:
    """The parameters with defaults filled in. Raises ParamsInvalid with a pointer for each fault."""
    try:
        checked = registry.pipeline(kind).params_model.model_validate(params)
    except ValidationError as error:
        faults = [
            FieldError("/params/" + "/".join(str(part) for part in fault["loc"]), fault["msg"])
            for fault in error.errors()
        ]
        raise ParamsInvalid(errors=faults) from error
    dumped: dict[str, Any] = checked.model_dump(mode="json", exclude_none=True)
    there = {(state.kind, state.id) for state in registry.router().states()}
    for wished, id in planning.wishes_of(dumped).items():
        if (wished, id) not in there:
            names = ", ".join(sorted(name for of, name in there if of == wished))
            raise ParamsInvalid(errors=_at(f"/params/{wished}_provider", f"There is no {id!r}; there are: {names}."))
    return dumped


def checked_languages(
    kind: str, source: str, targets: tuple[str, ...], params: dict[str, Any]
) -> tuple[str, tuple[str, ...]]:
    """Normalised languages that this server can do. Raises UnknownLanguage or UnsupportedPair naming those it can."""
    if not targets or len(targets) > MOST_LANGUAGES:
        raise JobInvalid(
            f"Name one to {MOST_LANGUAGES} target languages.", _at("/target_languages", f"1 to {MOST_LANGUAGES}")
        )
    for pointer, code in [
        ("/source_language", source),
        *((f"/target_languages/{i}", t) for i, t in enumerate(targets)),
    ]:
        if not (languages.is_known(code) or (pointer == "/source_language" and code == "auto")):
            raise UnknownLanguage(f"{code!r} is not a language that Dragoman knows.", _at(pointer, "unknown language"))
    source = source if source == "auto" else languages.normalise(source)
    targets = tuple(dict.fromkeys(languages.normalise(t) for t in targets))
    router = registry.router().wishing(planning.wishes_of(params))
    hears = router.languages("asr")
    if source == "auto" and len(hears) == 1:
        source = next(iter(hears))
    if source != "auto" and source not in hears:
        raise UnsupportedPair(
            f"No recogniser on this server hears {source}; those that can be had: {_listed(hears)}.",
            _at("/source_language", f"can be one of: {_listed(hears)}"),
        )
    _check_targets(router, source, targets, speech="tts" in registry.pipeline(kind).stages)
    return source, targets


def _check_targets(router: ProviderRouter, source: str, targets: tuple[str, ...], *, speech: bool) -> None:
    pairs = router.pairs()
    possible = {to for of, to in pairs if source in {of, "auto"}} | {source}
    if speech:
        possible &= router.languages("tts")
    possible.discard("auto")
    faults = [
        FieldError(f"/target_languages/{index}", f"can be one of: {_listed(possible)}")
        for index, target in enumerate(targets)
        if target not in possible or target == source
    ]
    if faults:
        wrong = ", ".join(t for t in targets if t not in possible or t == source)
        can = _listed(possible - {source})
        raise UnsupportedPair(f"This server cannot put {source} into {wrong}; from {source} it can do: {can}.", faults)


def _asset(owner: User, request: JobRequest) -> Asset:
    accepts = registry.pipeline(request.kind).accepts
    asset = Asset.objects.filter(owner=owner, pk=request.asset_id).first() if request.asset_id else None
    if asset is None:
        raise AssetUnfit("There is no such asset; upload the file first.", _at("/asset", "not found"))
    if asset.status != AssetStatus.READY:
        raise AssetUnfit(f"The asset is {asset.status}, not ready.", _at("/asset", f"status is {asset.status}"))
    if asset.kind not in accepts:
        raise AssetUnfit(
            f"{request.kind} takes {' or '.join(accepts)}; this asset is {asset.kind}.",
            _at("/asset", f"kind is {asset.kind}"),
        )
    return asset


def _title_of(asset: Asset) -> str:
    return asset.filename.rpartition(".")[0] or asset.filename


def _at(pointer: str, detail: str) -> list[FieldError]:
    return [FieldError(pointer, detail)]


def _listed(codes: frozenset[str] | set[str]) -> str:
    return ", ".join(sorted(codes)) or "none"
