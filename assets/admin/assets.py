"""Uploaded files, as they are."""

from __future__ import annotations

from django.contrib import admin

from accounts.admin.base import ReadOnlyAdmin
from assets.models import Asset


@admin.register(Asset)
class AssetAdmin(ReadOnlyAdmin):
    """Uploaded files."""

    list_display = ("filename", "kind", "status", "size", "duration", "owner", "created_at")
    list_filter = ("kind", "status")
    search_fields = ("filename", "owner__email", "id")
    list_select_related = ("owner",)
    date_hierarchy = "created_at"
    fields = (
        "id", "filename", "owner", "kind", "media_type", "status", "rejection", "size", "sha256", "duration", "streams",
        "language", "storage_key", "created_at",
    )  # fmt: skip
