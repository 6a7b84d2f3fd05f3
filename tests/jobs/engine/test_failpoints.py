"""A process dies at each commit boundary of the engine, and nothing is lost or done twice."""

from __future__ import annotations

import ast
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from jobs.failpoints import Failpoint
from jobs.models import Job, StageAttempt, StageRun, WorkerProcess
from jobs.services import claims, dispatch
from jobs.services.cancel import job_cancel
from jobs.state import JobStatus, RunStatus
from tests.jobs.engine.conftest import Engine, effects_in, outputs_of, seqs_of

SERVICES = Path(__file__).parents[3] / "jobs" / "services"


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is prepared, which step dies, and how the job ends; None: there is no job, as nothing was promised."""

    step: str
    prepare: str = "submitted"
    ends: JobStatus | None = JobStatus.SUCCEEDED


SCENARIOS: dict[Failpoint, Scenario] = {
    Failpoint.SUBMIT_BEFORE_COMMIT: Scenario("submit", "asset", ends=None),
    Failpoint.SUBMIT_AFTER_COMMIT: Scenario("submit", "asset"),
    Failpoint.DISPATCH_AFTER_COMMIT: Scenario("dispatch", "idle worker"),
    Failpoint.DISPATCH_AFTER_ENQUEUE: Scenario("dispatch", "idle worker"),
    Failpoint.CLAIM_BEFORE_COMMIT: Scenario("work"),
    Failpoint.CLAIM_AFTER_COMMIT: Scenario("work"),
    Failpoint.STAGE_AFTER_RUN: Scenario("work"),
    Failpoint.OUTPUTS_AFTER_STORE: Scenario("work"),
    Failpoint.SUCCEED_BEFORE_COMMIT: Scenario("work"),
    Failpoint.SUCCEED_AFTER_COMMIT: Scenario("work"),
    Failpoint.FAIL_BEFORE_COMMIT: Scenario("work", "busy once"),
    Failpoint.FAIL_AFTER_COMMIT: Scenario("work", "busy once"),
    Failpoint.CANCEL_AFTER_COMMIT: Scenario("cancel", "running", ends=JobStatus.CANCELLED),
    Failpoint.RETRY_AFTER_COMMIT: Scenario("retry", "cancelled"),
    Failpoint.RECONCILE_AFTER_COMMIT: Scenario("reconcile", "running, lost"),
}


@pytest.fixture
def die(process_env: dict[str, str]) -> Callable[..., None]:
    """``die(point, *step)``: run the step in a process that dies at that point."""

    def run(point: Failpoint, *step: str) -> None:
        ended = subprocess.run(
            [sys.executable, "-m", "tests.jobs.engine.act", *step],
            env={**process_env, "CRASH_AT": point.value},
            cwd=SERVICES.parents[1],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert ended.returncode == -signal.SIGKILL, f"did not pass {point}: {ended.stderr[-2000:]}"

    return run


@pytest.mark.parametrize("point", Failpoint)
def test_nothing_is_lost_when_a_process_dies_at(
    point: Failpoint, engine: Engine, user: Any, make_asset: Any, submit: Any, folder: Path, die: Callable[..., None]
) -> None:
    scenario = SCENARIOS[point]
    if scenario.step == "submit":
        order = {"owner": str(user.pk), "asset": str(make_asset(user).pk), "folder": str(folder)}
        die(point, "submit", json.dumps(order))
        assert Job.objects.count() == (0 if scenario.ends is None else 1)
    else:
        job = prepared(scenario.prepare, engine, submit, user, folder)
        die(point, scenario.step, *([str(job.pk)] if scenario.step in {"cancel", "retry"} else []))
    engine.drain()
    for job in Job.objects.all():
        assert job.status == scenario.ends
        assert seqs_of(job) == list(range(1, job.event_seq + 1))
        assert not StageAttempt.objects.filter(run__job=job, ended_at=None).exists()
        if job.status == JobStatus.SUCCEEDED:
            assert outputs_of(job)["last.txt"] == "last:hello(cut-es:hello(first:hello()))"
            done = StageAttempt.objects.filter(run__job=job, outcome="succeeded")
            assert sorted(done.values_list("run__stage", flat=True)) == ["cut", "first", "last"]
            assert len(effects_in(folder)) <= 4  # at most the one that died before its commit ran again


def prepared(what: str, engine: Engine, submit: Any, user: Any, folder: Path) -> Job:
    """A job that stands where the scenario begins."""
    if what == "busy once":
        (folder / "cut.fail").write_text("1")
    job: Job = submit(user)
    if what == "idle worker":
        later = timezone.now() + timedelta(days=1)
        WorkerProcess.objects.create(name="w", queue="cpu", host="h", pid=1, started_at=timezone.now(), seen_at=later)
    if what.startswith("running"):
        ((run_id, fence),) = dispatch.pick("cpu", 1)
        assert claims.run_claim(run_id=run_id, fence=fence, worker="gone")
        if what == "running, lost":
            past = timezone.now() - timedelta(seconds=1)
            StageRun.objects.filter(pk=run_id).update(lease_until=past)
    if what == "cancelled":
        job_cancel(job_id=job.pk)
    return job


def test_every_failpoint_has_a_scenario() -> None:
    assert set(SCENARIOS) == set(Failpoint)


def test_every_commit_boundary_has_a_failpoint() -> None:
    """A service that opens a transaction and commits must pass a failpoint, or be one of those that say why not."""
    without = {
        "elected": "an election that is lost is held again in fifteen seconds",
        "lease_expire": "one of the steps of reconcile, which passes one",
        "_stuck_jobs": "one of the steps of reconcile, which passes one",
        "run_cancelled": "as a worker that died: the lease ends, and the reconciler cancels",
        "run_hand_back": "as a worker that died: the lease ends, and the run is tried again",
        "job_edit": "one row, nothing follows from it",
        "job_scope": "the transaction itself",
        "new_job_scope": "the transaction itself",
        "runs_dispatch": "its caller, send, passes two",
        "put_many": "one table, nothing follows from it",
    }
    found: dict[str, bool] = {}
    for path in SERVICES.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and (names := called_in(node)) & SCOPES:
                found[node.name] = "failpoint" in names
    lacking = sorted(name for name, passes in found.items() if not passes and name not in without)
    assert not lacking, f"these commit, and no failpoint shows what happens when they die: {lacking}"
    assert {name for name, passes in found.items() if passes} >= {
        "job_submit", "run_claim", "run_succeed", "run_fail", "job_cancel", "job_retry",
    }  # fmt: skip


SCOPES = {"job_scope", "new_job_scope", "atomic"}


def called_in(function: ast.FunctionDef) -> set[str]:
    """Names of what a function calls."""
    calls = [node.func for node in ast.walk(function) if isinstance(node, ast.Call)]
    return {call.id if isinstance(call, ast.Name) else getattr(call, "attr", "") for call in calls}


def test_a_point_can_be_passed_before_it_kills(
    engine: Engine, user: Any, submit: Any, folder: Path, process_env: dict[str, str]
) -> None:
    submit(user)
    ended = subprocess.run(
        [sys.executable, "-m", "tests.jobs.engine.act", "work"],
        env={**process_env, "CRASH_AT": f"{Failpoint.SUCCEED_AFTER_COMMIT.value}:2"},
        cwd=SERVICES.parents[1],
        timeout=60,
        check=False,
    )
    assert ended.returncode == -signal.SIGKILL
    assert effects_in(folder) == ["first", "cut-es"]
    assert StageRun.objects.filter(status=RunStatus.SUCCEEDED).count() == 2
    engine.drain()
