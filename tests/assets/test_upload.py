"""Uploads: what is taken, what is refused and how it is said. Real ffmpeg, real probing."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from accounts.services.api_keys import api_key_create
from assets import storage
from assets.models import Asset
from assets.services.creation import _media_type, safe_name
from media_pipeline.tools.media_info import MediaInfo

URL = "/api/v1/assets"


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Two seconds of picture and tone."""
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    inputs = ["-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25", "-f", "lavfi", "-i", "sine=frequency=440"]
    command = ["ffmpeg", "-v", "error", "-nostdin", *inputs, "-t", "2", "-c:v", "libx264", "-preset", "ultrafast"]
    subprocess.run([*command, "-c:a", "aac", str(path)], check=True)
    return path.read_bytes()


@pytest.fixture
def client_of(db: None) -> Callable[..., Client]:
    return lambda user: Client(headers={"Authorization": f"Api-Key {api_key_create(user=user).plain}"})


def upload(client: Client, name: str, content: bytes, **headers: str) -> Any:
    return client.post(URL, {"file": SimpleUploadedFile(name, content)}, headers=headers)


def test_a_film_is_ready_at_once(film: bytes, user: Any, make_user: Any, client_of: Any) -> None:
    client = client_of(user)
    answer = upload(client, "My talk.MP4", film)
    assert answer.status_code == 201, answer.content
    made = answer.json()
    assert answer["Location"] == f"{URL}/{made['id']}"
    assert set(made) == {
        "id", "filename", "kind", "media_type", "size", "sha256", "duration", "streams", "status", "rejection",
        "language", "created_at", "url",
    }  # fmt: skip
    assert (made["filename"], made["kind"], made["status"]) == ("My talk.MP4", "video", "ready")
    assert made["media_type"] == "video/mp4"
    assert made["size"] == len(film)
    assert made["sha256"] == hashlib.sha256(film).hexdigest()
    assert made["duration"] == pytest.approx(2, abs=0.15)
    assert {stream["type"] for stream in made["streams"]} == {"video", "audio"}
    content = client.get(made["url"], headers={"Range": "bytes=0-99"})
    assert (content.status_code, b"".join(content)) == (206, film[:100])
    assert client.get(answer["Location"]).json() == made
    assert [row["id"] for row in client.get(URL).json()["results"]] == [made["id"]]
    stranger = client_of(make_user())
    assert stranger.get(made["url"]).status_code == 404
    assert stranger.delete(answer["Location"]).status_code == 404
    assert not list(Path(settings.FILE_UPLOAD_TEMP_DIR).glob("*.upload*"))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("talk.mp4", b"this is no film at all\n" * 50),
        ("talk.mp4", b""),
        ("talk.mp4", b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n"),
        ("talk.mp4", b"\x00" * 5000),
    ],
)
def test_what_is_no_media_is_refused_with_its_row_kept(name: str, content: bytes, user: Any, client_of: Any) -> None:
    client = client_of(user)
    answer = upload(client, name, content)
    assert answer.status_code == 422, answer.content
    problem = answer.json()
    assert problem["detail"]
    kept = client.get(f"{URL}/{problem['asset']}").json()
    assert kept["status"] == "rejected"
    assert kept["rejection"]["code"] == problem["code"]
    assert kept["url"] is None
    assert client.get(f"{URL}/{problem['asset']}/content").status_code == 404


def test_a_film_cut_short_is_refused(film: bytes, user: Any, client_of: Any) -> None:
    assert upload(client_of(user), "talk.mp4", film[: len(film) // 2]).status_code == 422


def test_without_a_file_it_is_a_422_that_says_so(user: Any, client_of: Any) -> None:
    answer = client_of(user).post(URL, {"language": "en"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/file"


def test_json_is_not_taken(user: Any, client_of: Any) -> None:
    assert client_of(user).post(URL, {}, "application/json").status_code == 415


def test_too_large_is_a_413(user: Any, client_of: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(settings.DRAGOMAN, "MAX_UPLOAD_BYTES", 1000)
    for size in (1001, 200_000):
        answer = upload(client_of(user), "talk.mp4", b"x" * size)
        assert answer.status_code == 413, size
        assert answer.json()["code"] == "upload_too_large"
    assert not Asset.objects.exists()


def test_the_same_upload_twice_is_one_asset(film: bytes, user: Any, client_of: Any) -> None:
    client = client_of(user)
    first, second = (upload(client, "talk.mp4", film, **{"Idempotency-Key": "u1"}) for _ in range(2))
    assert first.json() == second.json()
    assert Asset.objects.count() == 1
    other = upload(client, "talk.mp4", film + b"x", **{"Idempotency-Key": "u1"})
    assert other.json()["code"] == "idempotency_key_reused"


def test_delete_takes_the_bytes_too(film: bytes, user: Any, client_of: Any) -> None:
    client = client_of(user)
    made = upload(client, "talk.mp4", film).json()
    key = Asset.objects.get().storage_key
    assert client.delete(f"{URL}/{made['id']}").status_code == 204
    assert not storage.exists(key)
    assert client.get(f"{URL}/{made['id']}").status_code == 404


@pytest.mark.parametrize(
    ("container", "picture", "codecs", "expected"),
    [
        ("mov,mp4,m4a,3gp,3g2,mj2", "h264", ("h264", "aac"), "video/mp4"),
        ("mov,mp4,m4a,3gp,3g2,mj2", "", ("aac",), "audio/mp4"),
        ("matroska,webm", "vp9", ("vp9", "opus"), "video/webm"),
        ("matroska,webm", "h264", ("h264", "opus"), "video/x-matroska"),
        ("wav", "", ("pcm_s16le",), "audio/wav"),
        ("odd", "", ("pcm_s16le",), "application/octet-stream"),
    ],
)
def test_media_types_follow_the_content(container: str, picture: str, codecs: tuple[str, ...], expected: str) -> None:
    info = MediaInfo(container, 1.0, tuple({"codec": codec} for codec in codecs), video_codec=picture)
    assert _media_type(info) == expected


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\films\\talk.mp4", "talk.mp4"),
        ("a\x00b\r\n.mp4", "ab.mp4"),
        ("", "file"),
        ("é" * 300 + ".mp4", "é" * 251 + ".mp4"),
    ],
)
def test_names_are_kept_as_names_only(given: str, kept: str) -> None:
    assert safe_name(given) == kept
