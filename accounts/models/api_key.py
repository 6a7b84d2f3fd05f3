"""A program's key. Only its digest is kept."""

from __future__ import annotations

from django.conf import settings
from django.db import models


class ApiKey(models.Model):
    """``dgm_<id>_<secret><crc>``: the id finds the row, the SHA-256 of the whole key proves it."""

    id = models.CharField(primary_key=True, max_length=16, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_keys")
    name = models.CharField(max_length=100, blank=True)
    digest = models.CharField(max_length=64, editable=False)
    scopes = models.JSONField(default=list, help_text="Empty: everything that the user may do.")
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-created_at",)

    def __str__(self) -> str:
        return f"{self.name or 'key'} ({self.id})"
