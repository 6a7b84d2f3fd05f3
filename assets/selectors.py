"""Reads assets for others."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

from accounts.models import User
from assets.models import Asset


def assets_visible_to(user: User) -> QuerySet[Asset]:
    """A user's own; all for operators."""
    found = Asset.objects.all()
    return found if user.is_operator else found.filter(owner=user)


def asset_json(asset: Asset) -> dict[str, Any]:
    """The public form."""
    return {
        "id": str(asset.pk),
        "filename": asset.filename,
        "kind": asset.kind,
        "media_type": asset.media_type,
        "size": asset.size,
        "sha256": asset.sha256,
        "duration": asset.duration,
        "streams": asset.streams,
        "status": asset.status,
        "rejection": asset.rejection,
        "language": asset.language or None,
        "created_at": asset.created_at,
        "url": f"/api/v1/assets/{asset.pk}/content" if asset.storage_key else None,
    }
