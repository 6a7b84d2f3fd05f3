"""Who is served next."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone

from jobs.models import Job, StageRun, WorkerProcess
from jobs.services import claims, dispatch
from jobs.services.editing import job_edit
from jobs.services.reconcile import reconcile
from jobs.state import Priority, RunStatus
from tests.jobs.engine.conftest import Engine, flush_redis


def picked(count: int, now: Any) -> list[Job]:
    return [StageRun.objects.select_related("job").get(pk=pk).job for pk, _ in dispatch.pick("cpu", count, now=now)]


def test_a_crowd_of_one_owner_does_not_hold_up_another(engine: Engine, make_user: Any, submit: Any) -> None:
    many, one = make_user(), make_user()
    for number in range(40):
        submit(many, word=f"w{number}")
    mine = submit(one)
    first, second = picked(2, engine.now)
    assert mine in {first, second}
    assert {first.owner_id, second.owner_id} == {many.pk, one.pk}


def test_a_heavier_owner_gets_more(engine: Engine, make_user: Any, submit: Any) -> None:
    heavy, light = make_user(weight=3.0), make_user(weight=1.0)
    for number in range(12):
        submit(heavy, word=f"w{number}")
        submit(light, word=f"w{number}")
    owners = [job.owner_id for job in picked(8, engine.now)]
    assert owners.count(heavy.pk) == 6
    assert owners.count(light.pk) == 2


def test_priority_then_age_within_an_owner(engine: Engine, user: Any, submit: Any) -> None:
    old, new = submit(user, word="a"), submit(user, word="b")
    urgent = submit(user, word="c", priority=Priority.URGENT)
    low = submit(user, word="d", priority=Priority.LOW)
    assert picked(4, engine.now) == [urgent, old, new, low]


def test_a_priority_can_change_after_submission(engine: Engine, user: Any, submit: Any) -> None:
    first, second = submit(user, word="a"), submit(user, word="b")
    job_edit(job_id=second.pk, priority=Priority.HIGH)
    assert picked(2, engine.now) == [second, first]


def test_limits_are_part_of_the_choice(
    engine: Engine, make_user: Any, submit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(settings.DRAGOMAN, "SLOTS_PER_OWNER", 1)
    one, other = make_user(), make_user()
    for number in range(3):
        submit(one, word=f"w{number}")
    submit(other)
    assert len(picked(10, engine.now)) == 2


def test_what_must_wait_is_not_chosen(engine: Engine, user: Any, submit: Any) -> None:
    job = submit(user)
    StageRun.objects.filter(job=job, stage="first").update(run_after=timezone.now() + timedelta(seconds=60))
    assert picked(1, engine.now) == []
    engine.sleep(61)
    assert picked(1, engine.now) == [job]


class TestMessages:
    """Redis only carries."""

    @pytest.fixture
    def idle(self, db: None) -> None:
        """Two workers with nothing to do."""
        later = timezone.now() + timedelta(days=1)
        for number in range(2):
            WorkerProcess.objects.create(
                name=f"w{number}", queue="cpu", host="h", pid=number, started_at=timezone.now(), seen_at=later
            )

    def test_redis_is_kept_shallow(self, engine: Engine, idle: None, user: Any, submit: Any) -> None:
        for number in range(20):
            submit(user, word=f"w{number}")
        assert len(dispatch.waiting_messages("cpu")) == 2
        assert StageRun.objects.filter(status=RunStatus.DISPATCHED).count() == 2

    def test_after_a_flush_everything_is_sent_again(self, engine: Engine, idle: None, user: Any, submit: Any) -> None:
        reconcile(now=engine.now)
        for number in range(5):
            submit(user, word=f"w{number}")
        before = dispatch.waiting_messages("cpu")
        flush_redis(settings.REDIS_URL)
        assert reconcile(now=engine.now).messages == 2
        dispatch.dispatch_all(now=engine.now)
        after = dispatch.waiting_messages("cpu")
        assert len(after) == 2
        assert not before & after

    def test_a_message_that_nobody_took_is_sent_again_once(
        self, engine: Engine, idle: None, user: Any, submit: Any
    ) -> None:
        reconcile(now=engine.now)
        submit(user)
        (message,) = dispatch.waiting_messages("cpu")
        engine.sleep(31)
        assert reconcile(now=engine.now).messages == 0  # it waits where it should
        dispatch.rq_queue("cpu").empty()
        assert reconcile(now=engine.now).messages == 1
        dispatch.dispatch_all(now=engine.now)
        assert dispatch.waiting_messages("cpu") != {message}
        run_id, fence = (int(part) for part in message.split("-")[1:])
        assert claims.run_claim(run_id=run_id, fence=fence, worker="late", now=engine.now) is None

    def test_redis_away_is_no_reason_to_refuse_a_job(
        self, engine: Engine, idle: None, user: Any, submit: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def away(*_: Any, **__: Any) -> None:
            raise dispatch.redis.ConnectionError

        monkeypatch.setattr("rq.Queue.enqueue", away)
        job = submit(user)
        monkeypatch.undo()
        engine.drain()
        assert Job.objects.get(pk=job.pk).status == "succeeded"
