"""Jobs over HTTP."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from accounts.models import IdempotencyRecord
from jobs.api.schemas import JobSchema
from jobs.models import Job
from jobs.state import JobStatus

URL = "/api/v1/jobs"


def test_without_a_key_it_is_a_401_problem_with_a_challenge(db: None) -> None:
    answer = Client().get(URL)
    assert answer.status_code == 401
    assert answer["Content-Type"] == "application/problem+json"
    assert answer["WWW-Authenticate"] == "Api-Key"
    assert answer.json()["code"] == "not_authenticated"
    assert answer.json()["request_id"]


def test_a_job_has_exactly_the_fields_of_its_schema(user: Any, make_job: Any, api: Any) -> None:
    job = make_job(user)
    found = api(user).get(f"{URL}/{job.pk}").json()
    assert set(found) == set(JobSchema().fields)
    assert found["priority"] == "normal"
    assert found["batch"] is None
    mt = next(stage for stage in found["stages"] if stage["stage"] == "mt")
    assert mt["language"] == "es"
    assert mt["shards"] == {"done": 1, "total": 2}
    assert mt["provider"] == "apertium"
    assert found["links"]["stream"] == f"{URL}/{job.pk}/stream"
    assert found["eta_seconds"] > 0


def test_others_jobs_are_not_there(make_user: Any, make_job: Any, api: Any, operator: Any) -> None:
    job = make_job(make_user())
    mine = api(make_user())
    for path in ("", "/events", "/stream", "/logs", "/artifacts", "/segments", "/playback"):
        assert mine.get(f"{URL}/{job.pk}{path}").status_code == 404, path
    assert mine.delete(f"{URL}/{job.pk}").status_code == 404
    assert mine.post(f"{URL}/{job.pk}/retry", {}, "application/json").status_code == 404
    assert mine.get(URL).json()["results"] == []
    assert api(operator).get(f"{URL}/{job.pk}").status_code == 200


def test_a_list_costs_the_same_however_long(
    user: Any, make_job: Any, api: Any, django_assert_num_queries: Any, django_assert_max_num_queries: Any
) -> None:
    client = api(user)
    client.get(URL)
    for _ in range(2):
        make_job(user)
    client.get(URL)
    with django_assert_max_num_queries(6) as two:
        client.get(URL)
    for _ in range(8):
        make_job(user)
    with django_assert_num_queries(len(two.captured_queries)):
        assert len(client.get(URL).json()["results"]) == 10


def test_pages_go_there_and_back_without_losing_or_repeating(user: Any, make_job: Any, api: Any) -> None:
    ids = [str(make_job(user, priority=priority).pk) for priority in (20, 20, 20, 0, 20, 30, 20)]
    client = api(user)
    for ordering in ("-created_at", "created_at", "priority", "-priority"):
        url, seen, pages = f"{URL}?limit=3&ordering={ordering}", [], []
        while url:
            answer = client.get(url).json()
            pages.append([row["id"] for row in answer["results"]])
            seen += pages[-1]
            last, url = answer, answer["next"]
        assert sorted(seen) == sorted(ids)
        back = client.get(last["previous"])
        assert [row["id"] for row in back.json()["results"]] == pages[-2]
        assert 'rel="next"' in back["Link"]
        assert 'rel="prev"' in back["Link"]
    assert [row["id"] for row in client.get(f"{URL}?ordering=created_at").json()["results"]] == ids


def test_filters(user: Any, make_job: Any, api: Any) -> None:
    dub = make_job(user, title="Water", target_languages=["es", "ca"])
    subtitle = make_job(user, kind="subtitle", title="Fire", source_language="de", status=JobStatus.FAILED)
    client = api(user)

    def ids(query: str) -> set[str]:
        answer = client.get(f"{URL}?{query}")
        assert answer.status_code == 200, answer.content
        return {row["id"] for row in answer.json()["results"]}

    assert ids("status=failed") == {str(subtitle.pk)}
    assert ids("status=failed,queued") == {str(subtitle.pk), str(dub.pk)}
    assert ids("kind=dub") == {str(dub.pk)}
    assert ids("language=ca") == {str(dub.pk)}
    assert ids("language=de") == {str(subtitle.pk)}
    assert ids("language=c") == set()
    assert ids("q=wat") == {str(dub.pk)}
    stamp = (dub.created_at + timedelta(microseconds=1)).isoformat().replace("+00:00", "Z")
    assert ids(f"created_after={stamp}") == {str(subtitle.pk)}
    assert ids(f"created_before={stamp}") == {str(dub.pk)}


@pytest.mark.parametrize(
    "query", ["status=odd", "limit=0", "limit=1000", "limit=x", "ordering=owner", "cursor=abc", "created_after=soon"]
)
def test_a_bad_query_is_a_422_that_points_at_it(query: str, user: Any, api: Any) -> None:
    answer = api(user).get(f"{URL}?{query}")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "?" + query.partition("=")[0]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"kind": "dub"}, "/target_languages"),
        ({"kind": "dub", "target_languages": "es"}, "/target_languages"),
        ({"kind": "dub", "target_languages": ["es"], "asset": "x"}, "/asset"),
        ({"kind": "dub", "target_languages": ["es"], "priority": "now"}, "/priority"),
        ({"kind": "odd", "target_languages": ["es"]}, "/kind"),
    ],
)
def test_a_bad_order_is_a_422_with_a_json_pointer(body: Any, pointer: str, user: Any, api: Any) -> None:
    answer = api(user).post(URL, body, "application/json")
    assert answer.status_code == 422, answer.content
    assert pointer in [fault["pointer"] for fault in answer.json()["errors"]]


def test_broken_json_is_a_400(user: Any, api: Any) -> None:
    answer = api(user).post(URL, "{", "application/json")
    assert answer.status_code == 400
    assert answer.json()["code"] == "malformed_body"


def test_cancel_and_retry(user: Any, make_job: Any, end: Callable[..., None], api: Any) -> None:
    job, client = make_job(user), api(user)
    assert client.post(f"{URL}/{job.pk}/retry", {}, "application/json").status_code == 409
    answer = client.delete(f"{URL}/{job.pk}")
    assert answer.status_code == 202
    assert answer.json()["status"] in {"cancelling", "cancelled"}
    done = make_job(user)
    end(done)
    answer = client.delete(f"{URL}/{done.pk}")
    assert answer.status_code == 409
    assert answer.json()["code"] == "already_ended"


def test_title_and_priority_can_be_changed(user: Any, make_job: Any, api: Any) -> None:
    job = make_job(user)
    answer = api(user).patch(f"{URL}/{job.pk}", {"title": "New", "priority": "urgent"}, "application/json")
    assert answer.status_code == 200
    assert (answer.json()["title"], answer.json()["priority"]) == ("New", "urgent")


def test_a_key_with_scopes_does_only_those(user: Any, make_job: Any, api: Any) -> None:
    job = make_job(user)
    reader = api(user, "jobs:read")
    assert reader.get(f"{URL}/{job.pk}").status_code == 200
    assert reader.delete(f"{URL}/{job.pk}").status_code == 403
    assert reader.get("/api/v1/assets").status_code == 403
    assert reader.post("/api/v1/api-keys", {}, "application/json").status_code == 403
    assert Job.objects.get(pk=job.pk).status == JobStatus.QUEUED


def test_viewers_change_nothing(make_user: Any, make_job: Any, api: Any) -> None:
    viewer = make_user(role="viewer")
    job = make_job(viewer)
    assert api(viewer).delete(f"{URL}/{job.pk}").status_code == 403


class TestIdempotency:
    """``Idempotency-Key``."""

    @pytest.fixture
    def retry(self, user: Any, make_job: Any, end: Any, api: Any) -> Callable[..., Any]:
        job = make_job(user)
        end(job, JobStatus.FAILED)
        client = api(user)
        return lambda key, body: client.post(
            f"{URL}/{job.pk}/retry", body, "application/json", headers={"Idempotency-Key": key}
        )

    def test_the_same_request_twice_is_one(self, retry: Any) -> None:
        first, second = retry("k1", {}), retry("k1", {})
        assert first.status_code == 202, first.content
        assert second.status_code == 202
        assert second["Idempotency-Replayed"] == "true"
        assert second["Location"] == first["Location"]
        assert second.json() == first.json()

    def test_another_body_is_refused(self, retry: Any) -> None:
        retry("k1", {})
        again = retry("k1", {"resume_from": "mt"})
        assert again.status_code == 422
        assert again.json()["code"] == "idempotency_key_reused"

    def test_in_flight_is_a_conflict(self, retry: Any) -> None:
        retry("k1", {})
        IdempotencyRecord.objects.update(status=None)
        assert retry("k1", {}).json()["code"] == "in_flight"

    def test_a_refusal_is_not_kept(self, retry: Any) -> None:
        assert retry("k1", {"resume_from": "odd"}).status_code == 422
        assert retry("k1", {}).status_code == 202


def test_an_unknown_address_is_a_problem(db: None) -> None:
    answer = Client().get("/api/v1/nothing")
    assert answer.status_code == 404
    assert answer["Content-Type"] == "application/problem+json"


def test_an_unknown_job_is_a_404(user: Any, api: Any) -> None:
    assert api(user).get(f"{URL}/{uuid.uuid4()}").json()["code"] == "not_found"


def test_stats(user: Any, make_job: Any, end: Any, api: Any) -> None:
    end(make_job(user))
    make_job(user)
    found = api(user).get("/api/v1/stats").json()
    assert found["by_status"] == {"queued": 1, "succeeded": 1}
    assert found["by_kind"] == {"dub": 2}
    assert found["ended_last_24h"] == 1
    assert found["running_seconds"]["mean"] is not None


def test_null_characters_are_refused_wherever_they_come(user: Any, make_job: Any, api: Any) -> None:
    job, client = make_job(user), api(user)
    order = {"kind": "dub", "target_languages": ["es"], "params": {"voices": {"es": "a\0"}}}
    assert client.post(URL, order, "application/json").json()["errors"][0]["pointer"] == "/params"
    assert client.get(f"{URL}?q=%00").status_code == 422
    assert client.get(f"{URL}/{job.pk}/segments/%00").status_code == 404
    assert client.delete("/api/v1/api-keys/%00").status_code == 404


@pytest.mark.parametrize("body", ["[]", "null", "1", '"x"', ""])
def test_a_body_that_is_no_object_is_refused(body: str, user: Any, api: Any) -> None:
    assert api(user).post(URL, body, "application/json").status_code in {400, 422}
