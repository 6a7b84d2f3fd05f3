"""A file that a stage made."""

from __future__ import annotations

import uuid

from django.db import models


class Artifact(models.Model):
    """``storage_key`` holds the fence of the run that wrote it. Runs that were skipped point to the keys of the run
    that made the output. ``public`` ones are listed to people; the rest is for later stages."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    job = models.ForeignKey("jobs.Job", on_delete=models.CASCADE, related_name="artifacts")
    run = models.ForeignKey("jobs.StageRun", on_delete=models.CASCADE, related_name="artifacts")
    stage = models.CharField(max_length=32)
    language = models.CharField(max_length=16, blank=True, default="")
    shard = models.PositiveIntegerField(default=0)
    name = models.CharField(max_length=255)
    type = models.CharField(max_length=32)
    media_type = models.CharField(max_length=127)
    storage_key = models.CharField(max_length=512)
    size = models.PositiveBigIntegerField()
    sha256 = models.CharField(max_length=64)
    public = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("created_at", "id")
        constraints = (
            models.UniqueConstraint(
                fields=("job", "stage", "language", "shard", "name"), name="artifact_once_per_name"
            ),
        )
        indexes = (models.Index(fields=("storage_key",), name="artifact_key"),)

    def __str__(self) -> str:
        return self.name
