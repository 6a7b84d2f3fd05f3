"""Takes files in: kept, looked at, and either ready or rejected."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import structlog

from accounts.models import User
from assets import storage
from assets.errors import AssetInUse, AssetRejected
from assets.models import Asset, AssetKind, AssetStatus
from media_pipeline.errors import MediaRefused
from media_pipeline.tools.media_info import MediaInfo, probe_file

LONGEST_NAME = 255
MEDIA_TYPES: Mapping[str, tuple[str, str]] = {
    "mp4": ("video/mp4", "audio/mp4"),
    "webm": ("video/webm", "audio/webm"),
    "matroska": ("video/x-matroska", "audio/x-matroska"),
    "mpegts": ("video/mp2t", "video/mp2t"),
    "mpeg": ("video/mpeg", "video/mpeg"),
    "avi": ("video/x-msvideo", "video/x-msvideo"),
    "flv": ("video/x-flv", "video/x-flv"),
    "asf": ("video/x-ms-wmv", "audio/x-ms-wma"),
    "ogg": ("video/ogg", "audio/ogg"),
    "mp3": ("audio/mpeg", "audio/mpeg"),
    "aac": ("audio/aac", "audio/aac"),
    "wav": ("audio/wav", "audio/wav"),
    "flac": ("audio/flac", "audio/flac"),
    "aiff": ("audio/aiff", "audio/aiff"),
}
"""Of a container with moving pictures, and without."""
WEBM_CODECS = frozenset({"vp8", "vp9", "av1", "opus", "vorbis", "webvtt"})
SUFFIX = re.compile(r"\.[a-z0-9]{1,5}")
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ReceivedFile:
    """An upload that has arrived whole, in a local file that may be moved away."""

    path: Path
    filename: str
    size: int
    sha256: str


def asset_create(*, owner: User, received: ReceivedFile, language: str = "") -> Asset:
    """Probe the file by its content and keep it.

    Raises AssetRejected (the row stays, with the reason; the bytes do not) and StorageUnavailable.
    """
    asset = Asset(
        owner=owner,
        filename=safe_name(received.filename),
        kind=AssetKind.VIDEO,
        media_type="application/octet-stream",
        size=received.size,
        sha256=received.sha256,
        language=language,
        status=AssetStatus.PROBING,
    )
    try:
        info = probe_file(received.path)
    except MediaRefused as refusal:
        asset.status = AssetStatus.REJECTED
        asset.rejection = {"code": refusal.specific_code, "detail": refusal.detail}
        asset.save(force_insert=True)
        log.info("asset.rejected", asset_id=str(asset.pk), code=refusal.specific_code)
        raise AssetRejected(refusal.detail, reason=refusal.specific_code, asset_id=asset.pk) from refusal
    _describe(asset, info)
    suffix = PurePosixPath(asset.filename).suffix.lower()
    asset.storage_key = f"assets/{asset.pk}/source{suffix if SUFFIX.fullmatch(suffix) else ''}"
    storage.put(asset.storage_key, received.path, move=True)
    asset.status = AssetStatus.READY
    asset.save(force_insert=True)
    log.info("asset.created", asset_id=str(asset.pk), kind=asset.kind)
    return asset


def asset_delete(*, asset_id: uuid.UUID) -> None:
    """Remove the row and then its bytes. Raises AssetInUse and StorageUnavailable."""
    asset = Asset.objects.get(pk=asset_id)
    if asset.jobs.exists():
        raise AssetInUse
    key = asset.storage_key
    asset.delete()
    if key:
        storage.delete(key)


def safe_name(filename: str) -> str:
    """What the user called it, without folders and control characters; the suffix survives a cut."""
    name = filename.replace("\\", "/").rpartition("/")[2]
    name = "".join(char for char in name if char.isprintable()).strip() or "file"
    if len(name) <= LONGEST_NAME:
        return name
    suffix = PurePosixPath(name).suffix[:16]
    return name[: LONGEST_NAME - len(suffix)] + suffix


def _describe(asset: Asset, info: MediaInfo) -> None:
    asset.kind = AssetKind.VIDEO if info.has_video else AssetKind.AUDIO
    asset.media_type = _media_type(info)
    asset.duration = info.duration
    asset.streams = [{name: value for name, value in s.items() if value not in (None, "")} for s in info.streams]


def _media_type(info: MediaInfo) -> str:
    """By what ffprobe calls the container, whatever the file's name says."""
    names = info.container.split(",")
    if "webm" in names and not {stream.get("codec") for stream in info.streams} <= WEBM_CODECS:
        names.remove("webm")  # ffprobe calls every Matroska file both
    for container, (video, audio) in MEDIA_TYPES.items():
        if container in names:
            return video if info.has_video else audio
    return "application/octet-stream"
