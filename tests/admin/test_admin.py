"""What operators can see and do in the admin."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse

from accounts.models import ApiKey, Role, User
from accounts.services.api_keys import api_key_authenticate, api_key_create
from jobs.models import Job, StageRun
from jobs.state import JobStatus, Priority, RunStatus

JOBS = "/admin/jobs/job/"
LISTED = sorted(model._meta.label_lower.replace(".", "/") for model in admin.site._registry)


@pytest.fixture
def desk(operator: Any, client: Client) -> Client:
    """An operator's browser."""
    client.force_login(operator)
    return client


def act(desk: Client, action: str, *jobs: Job, **more: str) -> Any:
    return desk.post(JOBS, {"action": action, "_selected_action": [str(job.pk) for job in jobs], **more}, follow=True)


@pytest.mark.parametrize("path", ["", *LISTED])
def test_every_list_opens(desk: Client, make_job: Any, make_artifact: Any, user: Any, path: str) -> None:
    make_artifact(make_job(user), "poster.jpg", b"x")
    assert desk.get(f"/admin/{path}/" if path else "/admin/").status_code == 200


def test_jobs_stage_runs_attempts_and_events_are_there() -> None:
    assert {"jobs/job", "jobs/stagerun", "jobs/stageattempt", "jobs/jobevent"} <= set(LISTED)


def test_state_is_read_only(desk: Client, make_job: Any, user: Any) -> None:
    job = make_job(user)
    page = desk.get(f"{JOBS}{job.pk}/change/")
    assert page.status_code == 200
    assert b'name="status"' not in page.content
    assert desk.post(f"{JOBS}{job.pk}/change/", {"status": "succeeded"}).status_code == 403
    assert desk.post(f"{JOBS}{job.pk}/delete/", {"post": "yes"}).status_code == 403
    assert desk.get(f"{JOBS}add/").status_code == 403
    run = job.runs.first()
    assert desk.get(f"/admin/jobs/stagerun/{run.pk}/change/").status_code == 200
    assert desk.post(f"/admin/jobs/stagerun/{run.pk}/change/", {"status": "ready"}).status_code == 403
    job.refresh_from_db()
    assert job.status == JobStatus.QUEUED


def test_cancel_asks_first(desk: Client, make_job: Any, user: Any) -> None:
    job = make_job(user, title="Stop me")
    asked = act(desk, "cancel", job)
    assert b"Cancel these jobs" in asked.content
    job.refresh_from_db()
    assert job.status == JobStatus.QUEUED
    act(desk, "cancel", job, confirmed="yes")
    job.refresh_from_db()
    assert job.status == JobStatus.CANCELLED
    assert LogEntry.objects.get(object_id=str(job.pk)).change_message == "Cancelled."
    refused = act(desk, "cancel", job, confirmed="yes")
    assert b"cancelled already" in refused.content


def test_retry(desk: Client, make_job: Any, user: Any, end: Any) -> None:
    failed, open_one = make_job(user), make_job(user)
    end(failed, JobStatus.FAILED)
    answer = act(desk, "retry", failed, open_one)
    assert b"only ended jobs can be retried" in answer.content
    failed.refresh_from_db()
    assert failed.status in {JobStatus.QUEUED, JobStatus.RUNNING}


@pytest.mark.parametrize("priority", Priority)
def test_change_priority(desk: Client, make_job: Any, user: Any, priority: Priority) -> None:
    job = make_job(user)
    act(desk, f"make_{priority.label}", job)
    job.refresh_from_db()
    assert job.priority == priority
    waiting = StageRun.objects.filter(job=job, status__in=[RunStatus.WAITING, RunStatus.READY])
    assert set(waiting.values_list("priority", flat=True)) == {priority}


def test_members_are_kept_out(user: Any, client: Client) -> None:
    client.force_login(user)
    assert client.get("/admin/").status_code == 302
    assert client.get(JOBS).status_code == 302


def test_only_admins_make_users(desk: Client, make_user: Any, client: Client) -> None:
    assert desk.get(reverse("admin:accounts_user_add")).status_code == 403
    client.force_login(make_user(role=Role.ADMIN))
    new = {"email": "New@Example.com", "role": "member", "password1": "a long one 42", "password2": "a long one 42"}
    client.post(reverse("admin:accounts_user_add"), {**new, "usable_password": "true"})
    assert User.objects.get(email="new@example.com").check_password("a long one 42")


def test_keys_are_revoked(desk: Client, user: Any) -> None:
    issued = api_key_create(user=user)
    key = ApiKey.objects.get(user=user)
    desk.post("/admin/accounts/apikey/", {"action": "revoke", "_selected_action": [key.pk]})
    assert api_key_authenticate(issued.plain) is None
