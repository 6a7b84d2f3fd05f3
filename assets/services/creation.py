"""Takes files in: kept, looked at, and either ready or rejected."""

from __future__ import annotations

import re
import uuid
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import structlog

from accounts.models import User
from assets import storage
from assets.errors import AssetInUse, AssetRejected
from assets.models import Asset, AssetKind, AssetStatus
from media_pipeline.errors import MediaRefused
from media_pipeline.registry import resolve

LONGEST_NAME = 255
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
        info = resolve("media_pipeline.stages.probe.probe_file")(received.path)
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


def _describe(asset: Asset, info: Any) -> None:
    asset.kind = info.kind
    asset.media_type = info.media_type
    asset.duration = info.duration
    asset.streams = [_stream(stream) for stream in info.streams]


def _stream(stream: Any) -> dict[str, Any]:
    found = asdict(stream) if is_dataclass(stream) and not isinstance(stream, type) else dict(stream)
    return {name: value for name, value in found.items() if value not in (None, "")}
