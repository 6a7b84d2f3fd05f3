"""Whatever happens, in whatever order: no illegal step, one effect, gapless events, and every job ends."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from django.conf import settings
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, Phase
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from jobs.errors import JobConflict, StaleWrite
from jobs.models import Artifact, Job, JobEvent, StageAttempt, StageRun, WorkerProcess
from jobs.services import claims, dispatch
from jobs.services.cancel import job_cancel
from jobs.services.claims import Claim, Outcome, Stored
from jobs.services.reconcile import reconcile
from jobs.services.retry import job_retry
from jobs.services.transitions import JobScope
from jobs.state import JOB_ENDED, JOB_TRANSITIONS, RUN_DONE, RUN_OPEN, RUN_TRANSITIONS, JobStatus, RunStatus
from tests.jobs.engine.stages import Busy


def outcome_of(claim: Claim) -> Outcome:
    """A file whose content is the place and the fence."""
    run = claim.run
    stored = Stored(
        name=f"{run.stage}-{run.language}-{run.shard}.txt",
        type={"first": "probe", "cut": "segments", "last": "qc"}[run.stage],
        media_type="text/plain",
        storage_key=f"jobs/{run.job_id}/{run.pk}/{claim.fence}",
        size=1,
        sha256=f"{run.stage}{run.language}{run.shard}{random.random()}"[:64],
        public=True,
    )
    return Outcome(artifacts=[stored], facts={}, provider="p", warnings=[], usage={})


class EngineMachine(RuleBasedStateMachine):
    """Users, workers, the dispatcher and the reconciler, interleaved; the clock only goes on."""

    submit: Callable[..., Job]
    owners: Callable[[], list[Any]]

    def __init__(self) -> None:
        super().__init__()
        self.atomic = transaction.atomic()
        self.atomic.__enter__()
        self.jobs: list[Job] = []
        self.sent: list[tuple[int, int]] = []
        self.held: list[Claim] = []
        self.clock = timezone.now()
        self.users = self.owners()
        self.redis = redis.Redis.from_url(settings.REDIS_URL)
        self.redis.flushall()
        self.steps: list[tuple[str, str, str]] = []
        for number in range(3):
            WorkerProcess.objects.create(
                name=f"w{number}",
                queue="cpu",
                host="h",
                pid=number,
                started_at=self.clock,
                seen_at=self.clock + timedelta(days=9),
            )

    def teardown(self) -> None:
        try:
            self.everything_ends()
        finally:
            transaction.set_rollback(True)
            self.atomic.__exit__(None, None, None)
            self.redis.close()

    @property
    def now(self) -> datetime:
        return max(self.clock, timezone.now())

    def collect(self) -> None:
        """Take in the messages that are in Redis now; a copy stays, to be delivered once more."""
        for message in sorted(dispatch.waiting_messages("cpu")):
            _, run_id, fence = message.split("-")
            if (found := (int(run_id), int(fence))) not in self.sent:
                self.sent.append(found)

    @initialize(seed=st.integers(0, 2**32 - 1))
    def begin(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.order()
        self.order()

    @rule()
    def order(self) -> None:
        if len(self.jobs) < 5:
            owner, languages = self.rng.choice(self.users), self.rng.choice([("es",), ("es", "ca")])
            shards, word = self.rng.randint(1, 3), self.rng.choice("abc")
            self.jobs.append(self.submit(owner, languages=languages, shards=shards, word=word))
            self.collect()

    @rule(seconds=st.sampled_from([1, 10, 31, 61, 400]))
    def wait(self, seconds: int) -> None:
        self.clock = self.now + timedelta(seconds=seconds)

    @rule()
    def tick(self) -> None:
        dispatch.dispatch_all(now=self.now)
        self.collect()

    @rule()
    def repair(self) -> None:
        reconcile(now=self.now)
        self.tick()

    @rule()
    def flush(self) -> None:
        self.redis.flushall()

    def take(self, run_id: int, fence: int) -> Claim | None:
        claim = claims.run_claim(run_id=run_id, fence=fence, worker=f"w{self.rng.randint(0, 2)}", now=self.now)
        if claim:
            assert claim.fence > fence
            self.held.append(claim)
        return claim

    @precondition(lambda self: self.sent)
    @rule()
    def deliver(self) -> None:
        self.take(*self.sent[-1])

    @precondition(lambda self: self.sent)
    @rule()
    def deliver_once_more(self) -> None:
        self.take(*self.rng.choice(self.sent))

    @rule(runs=st.integers(1, 6))
    def work(self, runs: int) -> None:
        """A worker that does what it is told, and then asks for more."""
        for run_id, fence in dispatch.pick("cpu", runs, now=self.now):
            self.sent.append((run_id, fence))
            if claim := self.take(run_id, fence):
                claims.run_succeed(claim=claim, outcome=outcome_of(claim), now=self.now)

    @precondition(lambda self: self.held)
    @rule()
    def freeze(self) -> None:
        """A worker stops for longer than its lease; another one gets its run."""
        self.wait(61)
        self.repair()
        self.deliver()

    @precondition(lambda self: self.held)
    @rule()
    def beat(self) -> None:
        claim = self.one_held()
        held, _ = claims.lease_held(run_id=claim.run.pk, fence=claim.fence)
        assert claims.lease_renew(run_id=claim.run.pk, fence=claim.fence, now=self.now) == held

    @precondition(lambda self: self.held)
    @rule()
    def succeed(self) -> None:
        claim = self.one_held()
        self.fenced(claim, lambda: claims.run_succeed(claim=claim, outcome=outcome_of(claim), now=self.now))

    @precondition(lambda self: self.held)
    @rule(passing=st.booleans())
    def fail(self, passing: bool) -> None:
        claim = self.one_held()
        error = Busy("busy") if passing else ValueError("a fault")
        self.fenced(claim, lambda: claims.run_fail(claim=claim, error=error, now=self.now))

    @precondition(lambda self: self.held)
    @rule()
    def hand_back(self) -> None:
        claim = self.one_held()
        claims.run_hand_back(claim=claim, now=self.now)

    @precondition(lambda self: self.jobs)
    @rule()
    def cancel(self) -> None:
        job = self.rng.choice(self.jobs)
        try:
            job_cancel(job_id=job.pk)
        except JobConflict:
            assert Job.objects.get(pk=job.pk).status in JOB_ENDED

    @precondition(lambda self: self.held)
    @rule()
    def notice_cancel(self) -> None:
        claim = self.one_held()
        _, cancelling = claims.lease_held(run_id=claim.run.pk, fence=claim.fence)
        if cancelling:
            claims.run_cancelled(claim=claim, now=self.now)

    @precondition(lambda self: self.jobs)
    @rule(anew=st.booleans())
    def retry(self, anew: bool) -> None:
        job = self.rng.choice(self.jobs)
        with contextlib.suppress(JobConflict):
            job_retry(job_id=job.pk, resume_from="first" if anew else None)
        self.collect()

    def one_held(self) -> Claim:
        """Mostly what was claimed last; now and then one that somebody else may have by now."""
        return self.held[-1] if self.rng.random() < 0.6 else self.rng.choice(self.held)

    def fenced(self, claim: Claim, write: Callable[[], Any]) -> None:
        """A write of the one who holds the run works; any other changes nothing at all."""
        held, _ = claims.lease_held(run_id=claim.run.pk, fence=claim.fence)
        before = self.everything()
        try:
            write()
        except StaleWrite:
            assert not held
            assert self.everything() == before
        else:
            assert held

    def everything(self) -> tuple[Any, ...]:
        return tuple(list(m.objects.order_by("pk").values()) for m in (Job, StageRun, StageAttempt, JobEvent, Artifact))

    @invariant()
    def only_legal_steps(self) -> None:
        for kind, before, after in self.steps:
            table: Any = JOB_TRANSITIONS if kind == "job" else RUN_TRANSITIONS
            assert after in table.get(before, ()), f"{kind}: {before} → {after}"
        self.steps.clear()

    @invariant()
    def events_have_no_gaps(self) -> None:
        for job in Job.objects.all():
            seqs = list(JobEvent.objects.filter(job=job).order_by("seq").values_list("seq", flat=True))
            assert seqs == list(range(1, job.event_seq + 1))

    @invariant()
    def a_running_run_has_one_open_try_and_a_lease(self) -> None:
        open_tries: dict[int, list[int]] = {}
        for run_id, fence in StageAttempt.objects.filter(ended_at=None).values_list("run", "fence"):
            open_tries.setdefault(run_id, []).append(fence)
        for run in StageRun.objects.filter(status=RunStatus.RUNNING):
            assert open_tries.get(run.pk, [])[-1:] == [run.fence]
            assert run.lease_until is not None

    @invariant()
    def an_ended_job_has_nothing_open(self) -> None:
        left = StageRun.objects.filter(job__status__in=JOB_ENDED, status__in=RUN_OPEN)
        assert not left.exists(), list(left.values("stage", "status", "job__status"))
        done = StageRun.objects.filter(job__status=JobStatus.SUCCEEDED, shard=0).exclude(status__in=RUN_DONE)
        assert not done.exists()

    def everything_ends(self) -> None:
        """After the storm: the reconciler and willing workers bring every job to its end."""
        for _ in range(60):
            if not Job.objects.exclude(status__in=JOB_ENDED).exists():
                break
            self.wait(400)
            self.repair()
            self.sent.clear()  # what was lost is lost
            self.collect()
            for run_id, fence in [*self.sent, *dispatch.pick("cpu", 9, now=self.now)]:
                if claim := claims.run_claim(run_id=run_id, fence=fence, worker="w0", now=self.now):
                    claims.run_succeed(claim=claim, outcome=outcome_of(claim), now=self.now)
        stuck = Job.objects.exclude(status__in=JOB_ENDED)
        assert not stuck.exists(), list(StageRun.objects.filter(job__in=stuck).values("stage", "shard", "status"))
        self.events_have_no_gaps()
        self.an_ended_job_has_nothing_open()


@pytest.mark.slow
def test_the_engine_under_any_order_of_events(
    db: None, make_user: Any, submit: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = [make_user(), make_user()]
    machines: list[EngineMachine] = []

    class Machine(EngineMachine):
        def __init__(self) -> None:
            super().__init__()
            machines[:] = [self]

    Machine.submit = staticmethod(submit)  # type: ignore[assignment]
    Machine.owners = staticmethod(lambda: users)  # type: ignore[assignment]
    watch_steps(monkeypatch, machines)
    monkeypatch.setattr(claims, "backoff", lambda run, retry_after: 2.0)
    monkeypatch.setattr("jobs.services.planning._still_there", lambda files: True)
    run_state_machine_as_test(
        Machine,
        settings=hypothesis_settings(
            max_examples=60,
            stateful_step_count=50,
            deadline=None,
            derandomize=True,
            phases=(Phase.explicit, Phase.generate),
            suppress_health_check=list(HealthCheck),
        ),
    )


def watch_steps(monkeypatch: pytest.MonkeyPatch, machines: list[EngineMachine]) -> None:
    """Note every step of a job or run as the one writer takes it."""
    job_to, run_to = JobScope.job_to, JobScope.run_to

    def job_step(scope: JobScope, target: JobStatus, *args: Any, **fields: Any) -> bool:
        before = scope.job.status
        moved = job_to(scope, target, *args, **fields)
        if moved:
            machines[0].steps.append(("job", before, target.value))
        return moved

    def run_step(scope: JobScope, run: StageRun, target: RunStatus, **fields: Any) -> bool:
        before = StageRun.objects.values_list("status", flat=True).get(pk=run.pk)
        moved = run_to(scope, run, target, **fields)
        if moved:
            machines[0].steps.append(("run", before, target.value))
        return moved

    monkeypatch.setattr(JobScope, "job_to", job_step)
    monkeypatch.setattr(JobScope, "run_to", run_step)
