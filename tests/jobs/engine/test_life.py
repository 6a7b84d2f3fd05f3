"""The life of a job: run, retried, resumed, cached, cancelled."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from jobs.errors import AlreadyEnded, NotRetryable, StaleWrite, UnknownStage
from jobs.models import Job, JobEvent, StageAttempt, StageRun
from jobs.services import claims, dispatch
from jobs.services.cancel import job_cancel
from jobs.services.claims import Outcome
from jobs.services.reconcile import reconcile
from jobs.services.retry import job_retry
from jobs.state import JobStatus, RunStatus
from tests.jobs.engine.conftest import Engine, effects_in, outputs_of, run_of, seqs_of, statuses
from tests.jobs.engine.stages import Busy

NOTHING = Outcome(artifacts=[], facts={}, provider="", warnings=[], usage={})


def fresh(job: Job) -> Job:
    return Job.objects.get(pk=job.pk)


def test_a_job_runs_from_first_to_last(engine: Engine, user: Any, submit: Any, folder: Path) -> None:
    job = submit(user, languages=("es", "ca"), shards=3)
    engine.work()
    job = fresh(job)
    assert (job.status, job.progress) == (JobStatus.SUCCEEDED, 100.0)
    assert statuses(job) == {RunStatus.SUCCEEDED}
    assert outputs_of(job)["last.txt"].count("cut-es-2:hello(first:hello())") == 1
    assert len(effects_in(folder)) == len(set(effects_in(folder))) == 1 + 2 * 3 + 1
    assert seqs_of(job) == list(range(1, job.event_seq + 1))
    types = list(JobEvent.objects.filter(job=job).order_by("seq").values_list("type", flat=True))
    assert types[:3] == ["job.queued", "stage.started", "job.started"]
    assert types[-1] == "job.succeeded"


def test_what_may_pass_is_tried_again_later(engine: Engine, user: Any, submit: Any, folder: Path) -> None:
    (folder / "cut.fail").write_text("2")
    job = submit(user)
    engine.work()
    run = run_of(job, "cut", "es")
    assert run.status == RunStatus.READY
    assert run.run_after and run.run_after > timezone.now() - timedelta(seconds=1)
    assert fresh(job).status == JobStatus.RUNNING
    for _ in range(3):
        engine.sleep(1)
        engine.work()
    assert fresh(job).status == JobStatus.SUCCEEDED
    tries = StageAttempt.objects.filter(run=run).order_by("number").values_list("outcome", "error_code")
    assert list(tries) == [("retried", "busy"), ("retried", "busy"), ("succeeded", "")]


def test_tries_come_to_an_end(engine: Engine, user: Any, submit: Any, folder: Path) -> None:
    (folder / "cut.fail").write_text("99")
    job = submit(user, languages=("es", "ca"))
    for _ in range(10):
        engine.sleep(1)
        engine.work()
    job = fresh(job)
    assert job.status == JobStatus.FAILED
    assert job.error == {"code": "busy", "message": "The provider is busy.", "stage": "cut", "retryable": True}
    assert not statuses(job) & {RunStatus.READY, RunStatus.RUNNING, RunStatus.WAITING}
    assert StageAttempt.objects.filter(run__job=job, run__stage="cut", outcome="failed").count() == 1


@pytest.mark.parametrize(("what", "code"), [("refuse", "refused"), ("bug", "internal_error")])
def test_what_cannot_pass_fails_at_once(
    engine: Engine, user: Any, submit: Any, folder: Path, what: str, code: str
) -> None:
    (folder / f"first.{what}").write_text("1")
    job = submit(user)
    engine.work()
    job = fresh(job)
    assert job.status == JobStatus.FAILED
    assert job.error and (job.error["code"], job.error["retryable"]) == (code, False)
    assert "ZeroDivision" in StageAttempt.objects.get(run__job=job).error_text or what != "bug"


def test_backoff_is_full_jitter_and_never_before_retry_after(engine: Engine, user: Any, submit: Any) -> None:
    run = run_of(submit(user), "first")
    run.stage = "probe"  # the policy of real stages: base 2 s, cap 300 s
    for attempt, most in ((1, 4), (2, 8), (5, 64), (12, 300)):
        run.attempt = attempt
        waits = [claims.backoff(run, None) for _ in range(300)]
        assert 0 <= min(waits) < most * 0.1
        assert most * 0.9 < max(waits) <= most
        assert claims.backoff(run, 1000.0) == 1000.0


def test_three_crashes_and_the_run_is_dead(engine: Engine, user: Any, submit: Any) -> None:
    job = submit(user)
    for crash in range(3):
        ((run_id, fence),) = dispatch.pick("cpu", 1, now=engine.now)
        assert claims.run_claim(run_id=run_id, fence=fence, worker=f"gone-{crash}", now=engine.now)
        engine.sleep(61)
        assert reconcile(now=engine.now).leases == 1
    job = fresh(job)
    assert run_of(job, "first").status == RunStatus.DEAD
    assert job.status == JobStatus.FAILED
    assert job.error and job.error["code"] == "worker_crashed"
    assert StageAttempt.objects.filter(run__job=job, outcome="lost").count() == 3
    job_retry(job_id=job.pk)
    engine.work()
    assert fresh(job).status == JobStatus.SUCCEEDED


def test_a_message_delivered_ten_times_has_one_effect(engine: Engine, user: Any, submit: Any, folder: Path) -> None:
    job = submit(user)
    ((run_id, fence),) = dispatch.pick("cpu", 1, now=engine.now)
    taken = [claims.run_claim(run_id=run_id, fence=fence, worker=f"w{n}", now=engine.now) for n in range(10)]
    (claim,) = [claim for claim in taken if claim]
    claims.run_succeed(claim=claim, outcome=NOTHING)
    assert not claims.run_claim(run_id=run_id, fence=fence, worker="late", now=engine.now)
    assert StageAttempt.objects.filter(run_id=run_id).count() == 1
    assert seqs_of(job) == list(range(1, fresh(job).event_seq + 1))


def test_a_frozen_worker_that_wakes_changes_nothing(engine: Engine, user: Any, submit: Any) -> None:
    job = submit(user)
    ((run_id, fence),) = dispatch.pick("cpu", 1, now=engine.now)
    frozen = claims.run_claim(run_id=run_id, fence=fence, worker="frozen", now=engine.now)
    assert frozen
    engine.sleep(61)
    reconcile(now=engine.now)
    engine.work()
    before = (outputs_of(job), seqs_of(job), list(StageRun.objects.filter(job=job).values()))
    for write in (
        lambda: claims.run_succeed(claim=frozen, outcome=NOTHING),
        lambda: claims.run_fail(claim=frozen, error=ValueError("x")),
    ):
        with pytest.raises(StaleWrite):
            write()
    claims.run_cancelled(claim=frozen)
    claims.run_hand_back(claim=frozen)
    assert not claims.lease_renew(run_id=run_id, fence=frozen.fence)
    assert not claims.run_progress(claim=frozen, percent=5, data={})
    assert before == (outputs_of(job), seqs_of(job), list(StageRun.objects.filter(job=job).values()))
    assert fresh(job).status == JobStatus.SUCCEEDED


def test_a_heartbeat_keeps_the_run(engine: Engine, user: Any, submit: Any) -> None:
    submit(user)
    ((run_id, fence),) = dispatch.pick("cpu", 1, now=engine.now)
    claim = claims.run_claim(run_id=run_id, fence=fence, worker="slow", now=engine.now)
    assert claim
    for _ in range(5):
        engine.sleep(40)
        assert claims.lease_renew(run_id=run_id, fence=claim.fence, now=engine.now)
        assert reconcile(now=engine.now).leases == 0
    engine.sleep(61)
    assert reconcile(now=engine.now).leases == 1
    assert not claims.lease_renew(run_id=run_id, fence=claim.fence, now=engine.now)


def test_a_worker_that_leaves_gives_back_without_a_try(engine: Engine, user: Any, submit: Any) -> None:
    job = submit(user)
    ((run_id, fence),) = dispatch.pick("cpu", 1, now=engine.now)
    claim = claims.run_claim(run_id=run_id, fence=fence, worker="leaving", now=engine.now)
    assert claim
    claims.run_hand_back(claim=claim)
    assert run_of(job, "first").attempt == 0
    engine.work()
    assert fresh(job).status == JobStatus.SUCCEEDED


class TestResume:
    """What exists is not made again."""

    def test_a_retry_does_only_what_is_missing(self, engine: Engine, user: Any, submit: Any, folder: Path) -> None:
        (folder / "last.refuse").write_text("1")
        job = submit(user, shards=2)
        engine.work()
        assert fresh(job).status == JobStatus.FAILED
        before = effects_in(folder)
        job_retry(job_id=job.pk)
        engine.work()
        assert fresh(job).status == JobStatus.SUCCEEDED
        assert effects_in(folder)[len(before) :] == ["last"]

    def test_a_second_job_of_the_same_shares_every_stage(
        self, engine: Engine, user: Any, submit: Any, folder: Path
    ) -> None:
        first = submit(user, shards=2)
        engine.work()
        before = effects_in(folder)
        second = submit(user, shards=2)
        assert fresh(second).status == JobStatus.SUCCEEDED
        assert effects_in(folder) == before
        assert statuses(second) == {RunStatus.SKIPPED}
        assert run_of(second, "last").cached
        assert outputs_of(second)["last.txt"] == outputs_of(first)["last.txt"]

    def test_other_owners_share_nothing(
        self, engine: Engine, user: Any, make_user: Any, submit: Any, folder: Path
    ) -> None:
        submit(user)
        engine.work()
        submit(make_user())
        engine.work()
        assert effects_in(folder) == ["first", "cut-es", "last"] * 2

    def test_another_language_keeps_what_does_not_depend_on_it(
        self, engine: Engine, user: Any, submit: Any, folder: Path
    ) -> None:
        submit(user)
        engine.work()
        submit(user, languages=("es", "ca"))
        engine.work()
        assert effects_in(folder)[3:] == ["cut-ca", "last"]

    def test_resume_from_a_stage_does_it_anew_and_all_that_follow(
        self, engine: Engine, user: Any, submit: Any, folder: Path
    ) -> None:
        job = submit(user, languages=("es", "ca"))
        engine.work()
        job_retry(job_id=job.pk, resume_from="cut", languages=["ca"])
        engine.work()
        assert fresh(job).status == JobStatus.SUCCEEDED
        assert effects_in(folder)[4:] == ["cut-ca", "last"]

    def test_new_params_redo_what_they_change(self, engine: Engine, user: Any, submit: Any, folder: Path) -> None:
        job = submit(user)
        engine.work()
        job_retry(job_id=job.pk, params={"word": "bye"})
        engine.work()
        assert outputs_of(job)["last.txt"] == "last:bye(cut-es:bye(first:bye()))"

    def test_an_impossible_resume_names_the_possible(
        self, engine: Engine, user: Any, submit: Any, folder: Path
    ) -> None:
        (folder / "cut.refuse").write_text("1")
        job = submit(user)
        with pytest.raises(NotRetryable):
            job_retry(job_id=job.pk)
        engine.work()
        with pytest.raises(UnknownStage, match="resumed from: first, cut"):
            job_retry(job_id=job.pk, resume_from="last")
        with pytest.raises(UnknownStage, match="is no stage of this job"):
            job_retry(job_id=job.pk, resume_from="dance")


class TestCancel:
    """Nothing revives a cancelled job."""

    def test_before_anything_ran(self, engine: Engine, user: Any, submit: Any) -> None:
        job = submit(user)
        job_cancel(job_id=job.pk)
        assert fresh(job).status == JobStatus.CANCELLED
        assert engine.work() == 0
        with pytest.raises(AlreadyEnded):
            job_cancel(job_id=job.pk)

    def test_while_a_worker_has_it(self, engine: Engine, user: Any, submit: Any) -> None:
        job = submit(user)
        ((run_id, fence),) = dispatch.pick("cpu", 1, now=engine.now)
        claim = claims.run_claim(run_id=run_id, fence=fence, worker="w", now=engine.now)
        assert claim
        job_cancel(job_id=job.pk)
        assert fresh(job).status == JobStatus.CANCELLING
        assert claims.lease_held(run_id=run_id, fence=claim.fence) == (True, True)
        claims.run_cancelled(claim=claim)
        assert fresh(job).status == JobStatus.CANCELLED

    def test_the_commit_of_its_last_stage_does_not_revive_it(self, engine: Engine, user: Any, submit: Any) -> None:
        job = submit(user)
        ((run_id, fence),) = dispatch.pick("cpu", 1, now=engine.now)
        claim = claims.run_claim(run_id=run_id, fence=fence, worker="w", now=engine.now)
        assert claim
        job_cancel(job_id=job.pk)
        claims.run_succeed(claim=claim, outcome=NOTHING)
        engine.drain()
        assert fresh(job).status == JobStatus.CANCELLED
        assert not statuses(job) & {RunStatus.READY, RunStatus.WAITING, RunStatus.DISPATCHED, RunStatus.RUNNING}

    def test_a_worker_that_died_with_it_does_not_hold_it(self, engine: Engine, user: Any, submit: Any) -> None:
        job = submit(user)
        ((run_id, fence),) = dispatch.pick("cpu", 1, now=engine.now)
        claims.run_claim(run_id=run_id, fence=fence, worker="w", now=engine.now)
        job_cancel(job_id=job.pk)
        engine.sleep(61)
        reconcile(now=engine.now)
        assert fresh(job).status == JobStatus.CANCELLED

    def test_a_cancelled_job_can_be_tried_again(self, engine: Engine, user: Any, submit: Any) -> None:
        job = submit(user)
        engine.work(most=1)
        job_cancel(job_id=job.pk)
        job_retry(job_id=job.pk)
        engine.work()
        assert fresh(job).status == JobStatus.SUCCEEDED

    @pytest.mark.parametrize("end", ["fail", "hand back"])
    def test_what_ends_while_it_is_cancelled_is_not_tried_again(
        self, engine: Engine, user: Any, submit: Any, end: str
    ) -> None:
        job = submit(user)
        ((run_id, fence),) = dispatch.pick("cpu", 1, now=engine.now)
        claim = claims.run_claim(run_id=run_id, fence=fence, worker="w", now=engine.now)
        assert claim
        job_cancel(job_id=job.pk)
        if end == "fail":
            claims.run_fail(claim=claim, error=Busy("busy"))
        else:
            claims.run_hand_back(claim=claim)
        assert fresh(job).status == JobStatus.CANCELLED
        assert run_of(job, "first").status == RunStatus.CANCELLED


def test_of_two_workers_that_choose_the_same_run_one_gets_it(engine: Engine, user: Any, submit: Any) -> None:
    submit(user)
    chosen = dispatch.choose("cpu", now=engine.now)
    assert chosen
    assert chosen == dispatch.choose("cpu", now=engine.now), "choosing moves nothing"
    run_id, fence = chosen
    taken = [claims.run_claim(run_id=run_id, fence=fence, worker=f"w{n}", ready=True, now=engine.now) for n in (1, 2)]
    assert taken[0]
    assert taken[1] is None
    run = StageRun.objects.get(pk=run_id)
    assert (run.status, run.lease_owner, run.fence) == ("running", "w1", fence + 2)
    assert dispatch.choose("cpu", now=engine.now) is None
