"""Sends bytes out of storage: whole or one range (RFC 9110 section 14), without reading them into memory.

Signed addresses are ``/media/v/{kid}.{exp}.{mac}/{prefix}/hls/…``: ``mac`` is an HMAC-SHA256 over key id, expiry (Unix
seconds) and prefix, so that one signature covers the playlists and every segment below the prefix, and nothing beside.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import posixpath
import re
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath
from urllib.parse import quote

from django.conf import settings
from django.db import connections
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase

from assets import storage
from assets.objects import Readable

KEY_ID = "1"
CHUNK = 256 * 1024
TREE = "hls"
RANGE = re.compile(r"bytes=(\d*)-(\d*)")
TYPES = {
    ".m3u8": "application/vnd.apple.mpegurl",
    ".m4s": "video/iso.segment",
    ".mp4": "video/mp4",
    ".m4a": "audio/mp4",
    ".vtt": "text/vtt; charset=utf-8",
    ".jpg": "image/jpeg",
    ".json": "application/json",
}


@dataclass(frozen=True, slots=True)
class SignedAddress:
    """A path that whoever has it may fetch until ``expires_at``."""

    path: str
    expires_at: datetime


def sign(key: str, *, ttl: timedelta) -> SignedAddress:
    """The address of a key that lies in an ``hls`` folder; good for all that lies in the same one."""
    prefix = _prefix_of(key)
    if prefix is None:
        raise ValueError(f"{key} is not below a folder named {TREE}")
    expires = int(time.time() + ttl.total_seconds())
    token = f"{KEY_ID}.{expires}.{_mac(KEY_ID, expires, prefix)}"
    return SignedAddress(f"/media/v/{token}/{quote(key)}", datetime.fromtimestamp(expires, UTC))


def verify(token: str, path: str) -> str | None:
    """The storage key that the address may read, or None: forged, expired, outside its prefix, or not normal."""
    parts = token.split(".")
    prefix = _prefix_of(path)
    if len(parts) != 3 or prefix is None or not parts[1].isascii() or not parts[1].isdecimal() or len(parts[1]) > 12:
        return None
    kid, expires, mac = parts[0], int(parts[1]), parts[2]
    good = kid == KEY_ID and hmac.compare_digest(_mac(KEY_ID, expires, prefix).encode(), mac.encode())
    return path if good and expires > time.time() else None


def _prefix_of(path: str) -> str | None:
    """All up to the ``hls`` folder, of a path in its normal form; None of any other path."""
    if path != posixpath.normpath(path) or path.startswith(("/", "..")) or "\\" in path or "\0" in path:
        return None
    before, found, _ = path.rpartition(f"/{TREE}/")
    return before if found else None


def _mac(kid: str, expires: int, prefix: str) -> str:
    key = hmac.digest(settings.SECRET_KEY.encode(), f"media-delivery/{kid}".encode(), hashlib.sha256)
    mac = hmac.digest(key, f"{kid}\n{expires}\n{prefix}".encode(), hashlib.sha256)
    return base64.urlsafe_b64encode(mac).decode().rstrip("=")


def media_type_of(key: str) -> str:
    """By the name that we gave it."""
    return TYPES.get(PurePosixPath(key).suffix.lower(), "application/octet-stream")


def send(
    request: HttpRequest, key: str, *, media_type: str, filename: str = "", etag: str = "", max_age: int = 0
) -> HttpResponseBase:
    """The file behind a key: 200, 206, 304 or 416. ``filename`` makes it a download.

    Raises FileNotFoundError and StorageUnavailable.
    """
    tag = f'"{etag}"' if etag else ""
    headers = {"Accept-Ranges": "bytes", "Cache-Control": f"private, max-age={max_age}"}
    if tag:
        headers["ETag"] = tag
    if filename:
        headers["Content-Disposition"] = _attachment(filename)
    if tag and tag in [part.strip() for part in request.headers.get("If-None-Match", "").split(",")]:
        return HttpResponse(status=304, headers=headers)
    size = storage.size(key)
    if size is None:
        raise FileNotFoundError(key)
    span = _span(request, size, tag)
    if span is None:
        return HttpResponse(status=416, headers={**headers, "Content-Range": f"bytes */{size}"})
    start, end = span
    partial = "Range" in request.headers and (start, end) != (0, size)
    headers["Content-Length"] = str(end - start)
    if partial:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    status = 206 if partial else 200
    if request.method == "HEAD" or start == end:
        return HttpResponse(status=status, headers=headers, content_type=media_type)
    stream = storage.open_range(key, start, end)
    _let_go_of_the_database()
    answer = StreamingHttpResponse(
        _chunks(stream, end - start), status=status, headers=headers, content_type=media_type
    )
    answer._resource_closers.append(stream.close)  # type: ignore[attr-defined]  # also when nobody reads it to its end
    return answer


def _let_go_of_the_database() -> None:
    """A download may take hours, in which others can use this request's connection."""
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close()


def _span(request: HttpRequest, size: int, tag: str) -> tuple[int, int] | None:
    """Start and end of what is asked for; None when it lies outside. Several ranges are answered whole."""
    asked = RANGE.fullmatch(request.headers.get("Range", "").strip())
    condition = request.headers.get("If-Range")
    if asked is None or asked.groups() == ("", "") or (condition is not None and condition != tag):
        return 0, size
    first, last = asked.groups()
    if first == "":
        start, end = max(0, size - int(last)), size
        return (start, end) if int(last) > 0 and size else None
    start = int(first)
    end = min(size, int(last) + 1) if last else size
    if last and int(last) < start:
        return 0, size
    return (start, end) if start < size else None


async def _chunks(stream: Readable, left: int) -> AsyncIterator[bytes]:
    while left > 0 and (chunk := await asyncio.to_thread(stream.read, min(CHUNK, left))):
        left -= len(chunk)
        yield chunk


def _attachment(filename: str) -> str:
    plain = "".join(c if c.isascii() and c.isprintable() and c not in '"\\%;' else "_" for c in filename)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(filename, safe='')}"
