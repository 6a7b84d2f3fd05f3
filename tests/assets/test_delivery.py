"""Signed addresses and ranges."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from typing import Any
from urllib.parse import unquote

import pytest
from django.test import Client, RequestFactory
from hypothesis import given
from hypothesis import strategies as st

from assets import delivery, storage

TTL = timedelta(minutes=5)
KEY = "jobs/j1/package/3/hls/master.m3u8"
BODY = b"0123456789"


@pytest.fixture
def files() -> Iterator[None]:
    for name in ("master.m3u8", "es/seg 1.m4s", "subs/es.vtt"):
        storage.put_bytes(f"jobs/j1/package/3/hls/{name}", BODY)
    storage.put_bytes("jobs/j1/package/3/secret.json", b"{}")
    storage.put_bytes("jobs/j2/package/3/hls/master.m3u8", b"other")
    yield


@pytest.fixture
def base(files: None) -> str:
    """The signed address without the name of the file."""
    return delivery.sign(KEY, ttl=TTL).path.removesuffix("master.m3u8")


def body(answer: Any) -> bytes:
    return b"".join(answer)


def test_one_signature_covers_the_whole_tree(base: str, client: Client) -> None:
    for name, type in (
        ("master.m3u8", "application/vnd.apple.mpegurl"),
        ("es/seg%201.m4s", "video/iso.segment"),
        ("subs/es.vtt", "text/vtt; charset=utf-8"),
    ):
        answer = client.get(base + name)
        assert answer.status_code == 200, name
        assert body(answer) == BODY
        assert answer["Content-Type"] == type
        assert "Access-Control-Allow-Origin" not in answer
    assert client.get(base + "none.m4s").status_code == 404
    assert client.post(base + "master.m3u8").status_code == 405


@pytest.mark.parametrize(
    "path",
    [
        "../secret.json",
        "x/../../secret.json",
        "..%2fsecret.json",
        "%2e%2e/secret.json",
        "./master.m3u8",
        "x//y",
        "a\\b",
    ],
)
def test_nothing_beside_the_tree_is_served(path: str, base: str, client: Client) -> None:
    assert client.get(base + path).status_code in {403, 404}
    token = base.split("/")[3]
    assert delivery.verify(token, f"jobs/j1/package/3/hls/{unquote(path)}") is None


def test_a_signature_is_good_for_its_own_prefix_only(base: str, client: Client) -> None:
    token = base.split("/")[3]
    for path in ("jobs/j2/package/3/hls/master.m3u8", "jobs/j1/package/3/secret.json", "hls/master.m3u8", "hls"):
        assert client.get(f"/media/v/{token}/{path}").status_code == 403


def test_a_forged_or_expired_address_is_refused(files: None, client: Client) -> None:
    kid, expires, mac = delivery.sign(KEY, ttl=TTL).path.split("/")[3].split(".")
    later = str(int(expires) + 3600)
    flipped = ("A" if mac[0] != "A" else "B") + mac[1:]
    for token in (f"{kid}.{later}.{mac}", f"{kid}.{expires}.{flipped}", f"2.{expires}.{mac}", f"{kid}.{expires}.", "x"):
        answer = client.get(f"/media/v/{token}/{KEY}")
        assert answer.status_code == 403, token
        assert answer.json()["code"] == "bad_signature"
    assert client.get(delivery.sign(KEY, ttl=timedelta(seconds=-1)).path).status_code == 403


@given(st.text(max_size=60), st.text(max_size=60))
def test_no_text_passes_for_a_signature(token: str, path: str) -> None:
    assert delivery.verify(token, path) is None


@pytest.mark.parametrize(
    ("asked", "status", "content", "span"),
    [
        ("bytes=0-3", 206, b"0123", "bytes 0-3/10"),
        ("bytes=4-", 206, b"456789", "bytes 4-9/10"),
        ("bytes=-3", 206, b"789", "bytes 7-9/10"),
        ("bytes=8-99", 206, b"89", "bytes 8-9/10"),
        ("bytes=-99", 200, BODY, None),
        ("bytes=10-", 416, b"", "bytes */10"),
        ("bytes=-0", 416, b"", "bytes */10"),
        ("bytes=5-2", 200, BODY, None),
        ("bytes=0-1,4-5", 200, BODY, None),
        ("seconds=1-2", 200, BODY, None),
        ("bytes=-", 200, BODY, None),
    ],
)
def test_ranges(asked: str, status: int, content: bytes, span: str | None, base: str, client: Client) -> None:
    answer = client.get(base + "master.m3u8", headers={"Range": asked})
    assert answer.status_code == status
    assert body(answer) == content
    assert answer.get("Content-Range") == span
    if status != 416:
        assert answer["Content-Length"] == str(len(content))


def test_a_range_of_another_version_is_answered_whole(files: None, db: None) -> None:
    for version, status in (("old", 200), ("new", 206)):
        request = RequestFactory().get("/", headers={"Range": "bytes=0-1", "If-Range": f'"{version}"'})
        with closing(delivery.send(request, KEY, media_type="x/y", etag="new")) as answer:
            assert answer.status_code == status


def test_what_the_client_has_is_not_sent_again(files: None) -> None:
    request = RequestFactory().get("/", headers={"If-None-Match": '"a", "b"'})
    assert delivery.send(request, KEY, media_type="x/y", etag="b").status_code == 304


def test_a_download_keeps_its_name_whatever_it_is(files: None, db: None) -> None:
    answer = delivery.send(RequestFactory().get("/"), KEY, media_type="x/y", filename='Ре"чь\r\n;1.mp4')
    answer.close()
    header = answer["Content-Disposition"]
    assert "\r" not in header
    assert header.startswith("attachment; filename=")
    assert "filename*=UTF-8''%D0%A0%D0%B5%22%D1%87%D1%8C" in header
