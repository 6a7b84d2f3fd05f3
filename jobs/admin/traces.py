"""What jobs left behind: events and artifacts."""

from __future__ import annotations

from django.contrib import admin

from accounts.admin.base import ReadOnlyAdmin
from jobs.models import Artifact, JobEvent


@admin.register(JobEvent)
class JobEventAdmin(ReadOnlyAdmin):
    """State changes, newest first."""

    list_display = ("job", "seq", "type", "at", "data")
    list_filter = ("type",)
    search_fields = ("job__id", "job__title")
    list_select_related = ("job",)
    ordering = ("-id",)


@admin.register(Artifact)
class ArtifactAdmin(ReadOnlyAdmin):
    """Files that stages made."""

    list_display = ("name", "job", "stage", "language", "media_type", "size", "public", "created_at")
    list_filter = ("stage", "public", "media_type")
    search_fields = ("name", "job__id", "job__title", "storage_key")
    list_select_related = ("job",)
    ordering = ("-created_at", "-id")
