"""What a job says and makes, over HTTP."""

from __future__ import annotations

import json
from typing import Any

from django.test import Client

from assets import storage

URL = "/api/v1/jobs"


def body(answer: Any) -> bytes:
    return b"".join(answer)


def test_events_by_pages(user: Any, make_job: Any, emit: Any, api: Any) -> None:
    job = make_job(user)
    emit(job, 6)
    client = api(user)
    first = client.get(f"{URL}/{job.pk}/events?after=1&limit=4")
    assert [event["seq"] for event in first.json()["results"]] == [2, 3, 4, 5]
    assert set(first.json()["results"][0]) == {"seq", "type", "job", "at", "data"}
    assert 'rel="next"' in first["Link"]
    second = client.get(first.json()["next"]).json()
    assert [event["seq"] for event in second["results"]] == [6, 7]
    assert second["next"] is None
    assert client.get(f"{URL}/{job.pk}/events?limit=1001").status_code == 422
    assert client.get(f"{URL}/{job.pk}/events?after=-1").status_code == 422


def test_artifacts_are_listed_and_downloaded(
    user: Any, make_user: Any, make_job: Any, make_artifact: Any, api: Any
) -> None:
    job = make_job(user)
    made = make_artifact(job, "dub.es.m4a", b"0123456789", media_type="audio/mp4", language="es")
    make_artifact(job, "hls/master.m3u8", b"#EXTM3U")
    make_artifact(job, "hls/es/1.m4s", b"x")
    hidden = make_artifact(job, "inner.json", b"{}", public=False)
    client = api(user)
    rows = client.get(f"{URL}/{job.pk}/artifacts").json()["results"]
    assert sorted(row["name"] for row in rows) == ["dub.es.m4a", "hls/master.m3u8"]
    assert client.get(f"{URL}/{job.pk}").json()["available_outputs"] == ["dub.es.m4a", "hls/master.m3u8"]
    url = next(row["url"] for row in rows if row["name"] == "dub.es.m4a")
    answer = client.get(url, headers={"Accept": "audio/*"})
    assert body(answer) == b"0123456789"
    assert answer["Content-Type"] == "audio/mp4"
    assert 'filename="dub.es.m4a"' in answer["Content-Disposition"]
    part = client.get(url, headers={"Range": "bytes=2-4"})
    assert (part.status_code, body(part)) == (206, b"234")
    assert client.get(url.replace(str(made.pk), str(hidden.pk))).status_code == 404
    assert api(make_user()).get(url).status_code == 404
    storage.delete(made.storage_key)
    assert client.get(url).status_code == 404


def test_segments(user: Any, make_job: Any, make_artifact: Any, api: Any) -> None:
    job = make_job(user)
    make_artifact(job, "segments_src.json", json.dumps({"language": "en", "segments": [{"id": "1"}]}).encode())
    make_artifact(job, "segments.es.json", json.dumps({"language": "es", "segments": []}).encode(), language="es")
    client = api(user)
    assert client.get(f"{URL}/{job.pk}/segments").json() == {"language": "en", "segments": [{"id": "1"}]}
    assert client.get(f"{URL}/{job.pk}/segments/es").json()["language"] == "es"
    assert client.get(f"{URL}/{job.pk}/segments/ca").status_code == 404


def test_playback_gives_an_address_that_plays_without_a_key(
    user: Any, make_job: Any, make_artifact: Any, api: Any
) -> None:
    job = make_job(user)
    client = api(user)
    early = client.get(f"{URL}/{job.pk}/playback")
    assert (early.status_code, early.json()["code"]) == (409, "not_playable")
    make_artifact(job, "hls/master.m3u8", b"#EXTM3U", media_type="application/vnd.apple.mpegurl")
    found = client.get(f"{URL}/{job.pk}/playback").json()
    assert found["type"] == "application/vnd.apple.mpegurl"
    assert body(Client().get(found["url"])) == b"#EXTM3U"


def test_logs_are_json_lines(user: Any, make_job: Any, end: Any, api: Any) -> None:
    job = make_job(user)
    end(job)
    storage.put_bytes(job.logs_key, b'{"event": "a"}\n{"event": "b"}\n')
    answer = api(user).get(f"{URL}/{job.pk}/logs")
    assert answer["Content-Type"] == "application/jsonl"
    assert [json.loads(line)["event"] for line in body(answer).splitlines()] == ["a", "b"]
