"""One uploaded file."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models


class AssetKind(models.TextChoices):
    """What a file is, after its content was looked at."""

    VIDEO = "video"
    AUDIO = "audio"
    TEXT = "text"
    DOCUMENT = "document"
    SUBTITLE = "subtitle"


class AssetStatus(models.TextChoices):
    """How far an upload has come."""

    UPLOADING = "uploading"
    PROBING = "probing"
    READY = "ready"
    REJECTED = "rejected"


class Asset(models.Model):
    """A file that a job can work on. ``filename`` is what the user called it and is never used as a path.

    ``duration`` is in seconds, as decoded; ``streams`` is a list of
    ``{"type", "codec", "width"?, "height"?, "fps"?, "channels"?, "sample_rate"?, "language"?}``;
    ``rejection`` is ``{"code", "detail"}``.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="assets")
    filename = models.CharField(max_length=255)
    kind = models.CharField(max_length=16, choices=AssetKind.choices)
    media_type = models.CharField(max_length=127)
    size = models.PositiveBigIntegerField(default=0)
    sha256 = models.CharField(max_length=64, blank=True)
    storage_key = models.CharField(max_length=512, blank=True)
    duration = models.FloatField(null=True, blank=True)
    streams = models.JSONField(default=list)
    status = models.CharField(max_length=16, choices=AssetStatus.choices, default=AssetStatus.UPLOADING)
    rejection = models.JSONField(null=True, blank=True)
    language = models.CharField(max_length=16, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-created_at", "-id")
        indexes = (
            models.Index(fields=("owner", "-created_at", "-id"), name="asset_owner_recent"),
            models.Index(fields=("owner", "sha256"), name="asset_owner_digest"),
        )

    def __str__(self) -> str:
        return self.filename
