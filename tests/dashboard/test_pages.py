"""Pages for people, as the server sends them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from accounts.models import Role
from jobs.models import Job
from jobs.state import JobStatus


@pytest.fixture
def page_of(client: Client) -> Callable[..., Client]:
    """``page_of(user)``: a browser in which this user is signed in."""

    def sign_in(user: Any) -> Client:
        client.force_login(user)
        return client

    return sign_in


def test_signing_in_and_out(user: Any, client: Client) -> None:
    answer = client.get("/jobs/new/")
    assert answer["Location"] == "/login/?next=/jobs/new/"
    wrong = client.post("/login/", {"username": user.email, "password": "no"})
    assert b'role="alert"' in wrong.content
    typed = {"username": f" {user.email.upper()} ", "password": "correct horse", "next": "/jobs/new/"}
    assert client.post("/login/?next=/jobs/new/", typed)["Location"] == "/jobs/new/"
    assert user.email in client.get("/").content.decode()
    client.post("/logout/")
    assert client.get("/").status_code == 302


def test_an_empty_list_says_what_to_do(user: Any, page_of: Any) -> None:
    text = page_of(user).get("/").content.decode()
    assert "Nothing here yet" in text
    assert 'href="/jobs/new/"' in text


def test_the_list_shows_searches_and_pages(user: Any, make_user: Any, make_job: Any, page_of: Any) -> None:
    for number in range(51):
        make_job(user, title=f"Film {number:02}")
    make_job(make_user(), title="Somebody else's")
    browser = page_of(user)
    text = browser.get("/").content.decode()
    assert "Film 50" in text
    assert "Film 00" not in text
    assert "Somebody else" not in text
    older = re.search(r'rel="next" href="([^"]+)"', text)
    assert older
    assert "Film 00" in browser.get(older[1].replace("&amp;", "&")).content.decode()
    assert "Film 07" in browser.get("/?q=film 07").content.decode()
    assert "No job is like that" in browser.get("/?q=nothing").content.decode()
    assert "No job is like that" in browser.get("/?status=failed").content.decode()
    assert browser.get("/?cursor=rubbish").status_code == 302
    part = browser.get("/", headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in part
    assert "Film 50" in part


def test_a_job_shows_where_it_stands(user: Any, make_job: Any, page_of: Any) -> None:
    job = make_job(user, title="<b>My & film</b>")
    text = page_of(user).get(f"/jobs/{job.pk}/").content.decode()
    assert "&lt;b&gt;My &amp; film" in text
    assert f'data-seq="{job.event_seq}"' in text
    assert "1 of 2 parts" in text
    assert "Cancel this job?" in text
    assert "Try again" not in text


def test_a_failed_job_says_why_and_can_be_tried_again(user: Any, make_job: Any, page_of: Any, end: Any) -> None:
    job = make_job(user)
    end(job, JobStatus.FAILED)
    Job.objects.filter(pk=job.pk).update(
        error={"code": "no_speech", "message": "Nothing was said.", "stage": "asr", "retryable": True}
    )
    text = page_of(user).get(f"/jobs/{job.pk}/").content.decode()
    assert "Nothing was said." in text
    assert "Only what is missing" in text
    assert "probe and all that follows, anew" in text


def test_cancel_and_retry(user: Any, make_job: Any, page_of: Any) -> None:
    job = make_job(user)
    browser = page_of(user)
    assert browser.get(f"/jobs/{job.pk}/cancel/").status_code == 405
    answer = browser.post(f"/jobs/{job.pk}/cancel/", follow=True)
    assert "being cancelled" in answer.content.decode()
    job.refresh_from_db()
    assert job.status == JobStatus.CANCELLED
    again = browser.post(f"/jobs/{job.pk}/cancel/", follow=True)
    assert "cancelled already" in again.content.decode()
    wrong = browser.post(f"/jobs/{job.pk}/retry/", {"resume_from": "dance"}, follow=True)
    assert "is no stage of this job" in wrong.content.decode().replace("&#x27;", "'")
    browser.post(f"/jobs/{job.pk}/retry/", {"resume_from": ""})
    job.refresh_from_db()
    assert job.status in {JobStatus.QUEUED, JobStatus.RUNNING}


def test_what_is_not_mine_is_not_there(make_user: Any, make_job: Any, page_of: Any) -> None:
    job = make_job(make_user())
    browser = page_of(make_user())
    for path in ("", "live/", "watch/"):
        assert browser.get(f"/jobs/{job.pk}/{path}").status_code == 404
    for path in ("cancel/", "retry/"):
        assert browser.post(f"/jobs/{job.pk}/{path}").status_code == 404
    page = browser.get("/nothing-here/")
    assert page.status_code == 404
    assert "There is no such page" in page.content.decode()


def test_viewers_only_look(make_user: Any, make_job: Any, page_of: Any) -> None:
    viewer = make_user(role=Role.VIEWER)
    job = make_job(viewer)
    browser = page_of(viewer)
    assert "New job" not in browser.get("/").content.decode()
    assert "Cancel" not in browser.get(f"/jobs/{job.pk}/").content.decode()
    assert browser.get("/jobs/new/").status_code == 403
    assert browser.post(f"/jobs/{job.pk}/cancel/").status_code == 403


def test_nothing_to_watch_yet(user: Any, make_job: Any, page_of: Any) -> None:
    job = make_job(user)
    assert "nothing to play yet" in page_of(user).get(f"/jobs/{job.pk}/watch/").content.decode()


def test_pages_allow_no_inline_code(user: Any, make_job: Any, page_of: Any) -> None:
    job = make_job(user)
    browser = page_of(user)
    for path in ("/", "/jobs/new/", f"/jobs/{job.pk}/", f"/jobs/{job.pk}/watch/"):
        answer = browser.get(path)
        assert "unsafe" not in answer["Content-Security-Policy"], path
        text = answer.content.decode()
        assert " style=" not in text, path
        assert not re.search(r"<script(?![^>]*(src=|application/json))", text), path
        assert not re.search(r"\son[a-z]+=", text), path
