"""One order: an asset, the languages, the parameters."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models

from jobs.state import JobStatus, Priority


class Job(models.Model):
    """A user's order and where it stands.

    ``plan`` is the snapshot of the pipeline when the job was made:
    ``{"stages": [{"name", "version", "scope", "queue", "after": [...]}], "gates": [...]}``.
    ``event_seq`` is the seq of the last event. ``error`` is ``{"code", "message", "stage", "retryable"}``.
    ``progress`` is 0 to 100. ``warnings`` are sentences for the user. ``usage`` sums what stages reported.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="jobs")
    asset = models.ForeignKey("assets.Asset", null=True, blank=True, on_delete=models.PROTECT, related_name="jobs")
    kind = models.CharField(max_length=32)
    title = models.CharField(max_length=255, blank=True)
    params = models.JSONField(default=dict)
    source_language = models.CharField(max_length=16)
    target_languages = models.JSONField(default=list)
    priority = models.PositiveSmallIntegerField(choices=Priority.choices, default=Priority.NORMAL)
    status = models.CharField(max_length=16, choices=JobStatus.choices, default=JobStatus.QUEUED)
    plan = models.JSONField(default=dict)
    progress = models.FloatField(default=0.0)
    event_seq = models.PositiveBigIntegerField(default=0)
    error = models.JSONField(null=True, blank=True)
    warnings = models.JSONField(default=list)
    usage = models.JSONField(default=dict)
    logs_key = models.CharField(max_length=512, blank=True)
    attempts = models.PositiveIntegerField(default=1)
    cancel_requested_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-created_at", "-id")
        indexes = (
            models.Index(fields=("owner", "-created_at", "-id"), name="job_owner_recent"),
            models.Index(fields=("status", "-created_at"), name="job_status_recent"),
        )

    def __str__(self) -> str:
        return f"{self.kind} {self.title or self.id}"
