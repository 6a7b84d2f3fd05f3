"""Sets ended jobs going again: finished stages are kept unless the retry says otherwise."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from accounts.errors import FieldError
from jobs.errors import NotRetryable, UnknownStage
from jobs.failpoints import Failpoint, failpoint
from jobs.models import Artifact, Job, StageRun
from jobs.models.stage_run import WHOLE
from jobs.services import dispatch, ending, planning, submission
from jobs.services.transitions import JobScope, job_scope
from jobs.state import JOB_RETRYABLE, RUN_DONE, RUN_ENDED, JobStatus, RunStatus
from media_pipeline import registry


def job_retry(
    *,
    job_id: uuid.UUID,
    resume_from: str | None = None,
    languages: Sequence[str] | None = None,
    params: dict[str, Any] | None = None,
) -> Job:
    """Queue the job again.

    Without ``resume_from`` what is missing is done. With it, that stage and all that follow from it are done anew, for
    ``languages`` only when given. ``params`` are laid over the job's; a stage that they change is done anew because
    its digest differs. Raises NotRetryable, UnknownStage (naming the stages that can be), ParamsInvalid.
    """
    with job_scope(job_id) as scope:
        job = scope.job
        if job.status not in JOB_RETRYABLE:
            raise NotRetryable(f"The job is {job.status}; only ended jobs can be retried.")
        picture = planning.Picture.of(job)
        _check_languages(job, languages)
        anew = _stages_from(picture, resume_from) if resume_from else set()
        if params:
            anew |= _stages_changed(scope, picture, submission.checked_params(job.kind, {**job.params, **params}))
        if not anew and job.status == JobStatus.SUCCEEDED:
            raise NotRetryable("The job has succeeded; name a stage in resume_from, or other params, to do it anew.")
        for run in picture.runs:
            _reset(scope, run, anew=run.stage in anew and _concerns(run, languages))
        scope.job_to(
            JobStatus.QUEUED,
            {"resume_from": resume_from},
            error=None,
            finished_at=None,
            cancel_requested_at=None,
            warnings=[],
            progress=0.0,
            attempts=job.attempts + 1,
        )
        planning.advance(scope)
        ending.end_if_done(scope)
    failpoint(Failpoint.RETRY_AFTER_COMMIT)
    dispatch.dispatch_all()
    return scope.job


def resumable_stages(job: Job) -> list[str]:
    """The stages that the job can be resumed from: those whose inputs are all there."""
    picture = planning.Picture.of(job)
    return [stage for stage in picture.after if _inputs_there(picture, stage)]


def _check_languages(job: Job, languages: Sequence[str] | None) -> None:
    known = {job.source_language, *job.target_languages}
    wrong = [code for code in languages or () if code not in known]
    if wrong:
        raise UnknownStage(
            f"The job has no {', '.join(wrong)}; it has: {', '.join(sorted(known))}.",
            [FieldError("/languages", f"can be: {', '.join(sorted(known))}")],
        )


def _concerns(run: StageRun, languages: Sequence[str] | None) -> bool:
    return languages is None or run.language == "" or run.language in languages


def _stages_from(picture: planning.Picture, resume_from: str) -> set[str]:
    """The stage and all that follow from it. Raises UnknownStage when it is none, or its inputs are missing."""
    possible = [stage for stage in picture.after if _inputs_there(picture, stage)]
    if resume_from not in possible:
        reason = "has inputs that are missing" if resume_from in picture.after else "is no stage of this job"
        names = ", ".join(possible)
        raise UnknownStage(
            f"{resume_from!r} {reason}; it can be resumed from: {names}.",
            [FieldError("/resume_from", f"can be one of: {names}")],
        )
    return _with_followers(picture, {resume_from})


def _stages_changed(scope: JobScope, picture: planning.Picture, params: dict[str, Any]) -> set[str]:
    """Lay down the new parameters; the stages whose output they change, and all that follow."""
    old = scope.job.params
    names = {name for name in {*old, *params} if old.get(name) != params.get(name)}
    scope.change(params=params)
    touched = {stage for stage in picture.after if names & set(registry.stages()[stage].params)}
    return _with_followers(picture, touched)


def _with_followers(picture: planning.Picture, stages: set[str]) -> set[str]:
    found = set(stages)
    for stage, before in picture.after.items():  # in the pipeline's order, so that one pass is enough
        if found & set(before):
            found.add(stage)
    return found


def _inputs_there(picture: planning.Picture, stage: str) -> bool:
    """Whether everything before the stage is done, in every language."""
    before = set(picture.after[stage])
    for other, further in reversed(picture.after.items()):
        if other in before:
            before |= set(further)
    return all(run.status in RUN_DONE for run in picture.runs if run.stage in before)


def _reset(scope: JobScope, run: StageRun, *, anew: bool) -> None:
    """Open a run again if it is not done or must be done anew; shards that are done stay done unless anew."""
    shards = StageRun.objects.filter(job=scope.job, stage=run.stage, language=run.language, shard__gt=WHOLE)
    if run.status in RUN_DONE and not anew:
        return
    if not anew and run.shards_total is not None:
        broken = list(shards.filter(status__in=RUN_ENDED).exclude(status__in=RUN_DONE).values_list("pk", flat=True))
        _open(scope, broken)
        scope.runs_to(broken, RunStatus.READY, ready_at=scope.now)
    elif anew:
        _open(scope, list(shards.filter(status__in=RUN_ENDED).values_list("pk", flat=True)))
        StageRun.objects.filter(pk=run.pk).update(shards_total=None)
        Artifact.objects.filter(job=scope.job, stage=run.stage, language=run.language).delete()
    if run.status in RUN_ENDED:
        _open(scope, [run.pk])
    StageRun.objects.filter(pk=run.pk).update(fresh=anew)


def _open(scope: JobScope, runs: list[int]) -> None:
    scope.runs_to(
        runs,
        RunStatus.WAITING,
        attempt=0,
        crash_count=0,
        run_after=None,
        dispatched_at=None,
        started_at=None,
        finished_at=None,
        error=None,
        progress=0.0,
        cached=False,
        lease_owner="",
    )
