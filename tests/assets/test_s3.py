"""Storage in S3, over HTTP, against a server that speaks it."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from assets import delivery, storage
from assets.models import Asset
from assets.objects import PART_BYTES
from config import environment
from jobs.services.logbook import job_log_join, job_log_lines
from media_pipeline.errors import StorageUnavailable
from tests.objects import ObjectServer, object_server

BODY = bytes(range(256)) * 40


@pytest.fixture(scope="module")
def server() -> Iterator[ObjectServer]:
    with object_server() as running:
        yield running


@pytest.fixture
def s3(server: ObjectServer, settings: Any) -> Iterator[ObjectServer]:
    """Makes it the default storage; empty."""
    settings.STORAGES = {**settings.STORAGES, "default": environment.storage(server.url, Path())}
    server.bucket.objects.all().delete()
    server.door.ranges.clear()
    yield server
    server.door.closed_to.clear()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits between tries waits shorter."""
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0.01)


def test_put_get_walk_delete(s3: ObjectServer, tmp_path: Path) -> None:
    source = tmp_path / "a film.mp4"
    source.write_bytes(BODY)
    storage.put("jobs/j/one/a film.mp4", source)
    storage.put_bytes("jobs/j/two/x.json", b"{}")
    storage.put_bytes("jobs/j2/other", b"-")
    assert s3.names() == {
        "dragoman/jobs/j/one/a film.mp4",
        "dragoman/jobs/j/two/x.json",
        "dragoman/jobs/j2/other",
    }
    assert sorted(storage.walk("jobs/j")) == ["jobs/j/one/a film.mp4", "jobs/j/two/x.json"]
    assert list(storage.walk("jobs/none")) == []
    assert storage.read_bytes("jobs/j/one/a film.mp4") == BODY
    assert storage.size("jobs/j/one/a film.mp4") == len(BODY)
    assert storage.size("jobs/j/one") is None
    storage.put_bytes("jobs/j/two/x.json", b"[]")
    with storage.open_key("jobs/j/two/x.json") as stream:
        assert stream.read() == b"[]"
    storage.delete("jobs/j/two/x.json")
    storage.delete("jobs/j/two/x.json")
    assert not storage.exists("jobs/j/two/x.json")
    assert storage.exists("jobs/j2/other")
    assert s3.bucket.Object("dragoman/jobs/j/one/a film.mp4").content_type == "video/mp4"


def test_many_files_and_large_ones(s3: ObjectServer, tmp_path: Path) -> None:
    large = tmp_path / "large"
    large.write_bytes(os.urandom(1024) * (3 * PART_BYTES // 1024) + b"end")
    digest = hashlib.sha256(large.read_bytes()).hexdigest()
    pieces = []
    for number in range(20):
        (tmp_path / str(number)).write_bytes(str(number).encode())
        pieces.append((f"jobs/j/hls/{number}.m4s", tmp_path / str(number)))
    storage.put_many([("jobs/j/large", large), *pieces])
    assert len(list(storage.walk("jobs/j/hls"))) == 20
    assert "-" in s3.bucket.Object("dragoman/jobs/j/large").e_tag, "sent in one part"
    found = storage.fetch("jobs/j/large", tmp_path / "cache" / "large")
    assert hashlib.sha256(found.read_bytes()).hexdigest() == digest
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["large"]


def test_what_was_fetched_is_not_fetched_again(s3: ObjectServer, tmp_path: Path) -> None:
    storage.put_bytes("a", BODY)
    target = tmp_path / "cache" / "digest"
    assert storage.fetch("a", target).read_bytes() == BODY
    s3.door.closed_to.add("*")
    assert storage.fetch("a", target).read_bytes() == BODY


def test_a_range_is_all_that_is_fetched(s3: ObjectServer, client: Client) -> None:
    storage.put_bytes("jobs/j/package/1/hls/master.m3u8", BODY)
    address = delivery.sign("jobs/j/package/1/hls/master.m3u8", ttl=timedelta(minutes=1)).path
    answer = client.get(address, headers={"Range": "bytes=100-355"})
    assert answer.status_code == 206
    assert answer["Content-Range"] == f"bytes 100-355/{len(BODY)}"
    assert b"".join(answer) == BODY[100:356]
    assert s3.door.ranges == ["bytes=100-355"]
    whole = client.get(address)
    assert whole.status_code == 200
    assert b"".join(whole) == BODY
    assert whole["Content-Type"] == "application/vnd.apple.mpegurl"
    assert client.head(address)["Content-Length"] == str(len(BODY))
    assert client.get(address.replace("master", "none")).status_code == 404


def test_nothing_of_the_bucket_is_open_to_the_public(s3: ObjectServer) -> None:
    storage.put_bytes("a", BODY)
    grants = s3.bucket.Object("dragoman/a").Acl().grants
    assert not [grant for grant in grants if grant["Grantee"].get("URI", "").endswith("AllUsers")]


def test_an_upload_through_the_api(s3: ObjectServer, api: Any, user: Any, tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    made = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc=s=64x64:d=1", "-f", "lavfi", "-i", "sine=d=1"]
    subprocess.run([*made, "-shortest", str(film)], check=True)
    upload = SimpleUploadedFile("film.mp4", film.read_bytes(), "video/mp4")
    answer = api(user).post("/api/v1/assets", {"file": upload})
    assert answer.status_code == 201, answer.content
    asset = Asset.objects.get(pk=answer.json()["id"])
    assert s3.names() == {f"dragoman/{asset.storage_key}"}
    part = api(user).get(f"/api/v1/assets/{asset.pk}/content", headers={"Range": "bytes=4-7"})
    assert b"".join(part) == b"ftyp"
    assert api(user).delete(f"/api/v1/assets/{asset.pk}").status_code == 204
    assert s3.names() == set()


def test_a_jobs_log(s3: ObjectServer, user: Any, make_job: Any, end: Any) -> None:
    job = make_job(user)
    storage.put_bytes(f"jobs/{job.pk}/log/1.jsonl", b'{"timestamp": "2", "event": "b"}\n')
    storage.put_bytes(f"jobs/{job.pk}/log/2.jsonl", b'{"timestamp": "1", "event": "a"}\n')
    end(job)
    job.refresh_from_db()
    job_log_join(job)
    assert [json.loads(line)["event"] for line in job_log_lines(job)] == ["a", "b"]


@pytest.mark.parametrize("closed", ["*", "GET", "PUT"])
def test_storage_that_fails_may_pass(s3: ObjectServer, tmp_path: Path, impatient: None, closed: str) -> None:
    storage.put_bytes("a", BODY)
    source = tmp_path / "source"
    source.write_bytes(BODY)
    s3.door.closed_to.add(closed)
    writes = [lambda: storage.put("b", source), lambda: storage.put_bytes("b", b"")]
    reads = [lambda: storage.read_bytes("a"), lambda: list(storage.walk("x")), lambda: storage.open_range("a", 0, 1)]
    if closed == "*":
        reads += [lambda: storage.fetch("a", tmp_path / "f"), lambda: storage.size("a"), lambda: storage.exists("a")]
        reads += [storage.reach, lambda: storage.delete("a")]
    for act in (writes if closed != "GET" else []) + (reads if closed != "PUT" else []):
        with pytest.raises(StorageUnavailable) as caught:
            act()
        assert caught.value.retryable
        assert "key" not in caught.value.detail
        assert "secret" not in caught.value.detail
    assert not list(tmp_path.glob(".f*"))
    s3.door.closed_to.clear()
    assert storage.read_bytes("a") == BODY


def test_the_api_says_503_and_readyz_too(
    s3: ObjectServer, impatient: None, api: Any, user: Any, client: Client, make_asset: Any
) -> None:
    asset = make_asset(user)
    assert client.get("/readyz").json()["checks"]["storage"] == "ok"
    s3.door.closed_to.add("*")
    content = api(user).get(f"/api/v1/assets/{asset.pk}/content")
    assert content.status_code == 503
    assert content.json()["code"] == "storage_unavailable"
    assert content["Retry-After"]
    ready = client.get("/readyz")
    assert ready.status_code == 503
    assert ready.json()["checks"]["storage"] == "failed"


def test_a_bucket_that_is_missing_is_found_out(server: ObjectServer, settings: Any, client: Client, db: None) -> None:
    url = server.url.replace("/dragoman", "").replace("@media", "@none")
    settings.STORAGES = {**settings.STORAGES, "default": environment.storage(url, Path())}
    assert client.get("/readyz").json()["checks"]["storage"] == "failed"
