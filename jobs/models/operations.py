"""What the engine keeps about itself."""

from __future__ import annotations

from django.conf import settings
from django.db import models


class WorkerProcess(models.Model):
    """A worker that is or was alive. ``seen_at`` is renewed every 15 s, also while it idles."""

    name = models.CharField(primary_key=True, max_length=128)
    queue = models.CharField(max_length=16)
    host = models.CharField(max_length=128)
    pid = models.PositiveIntegerField()
    busy = models.BooleanField(default=False)
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField(db_index=True)

    class Meta:
        ordering = ("queue", "name")
        verbose_name_plural = "worker processes"

    def __str__(self) -> str:
        return self.name


class Election(models.Model):
    """Who does what only one process may do; held until ``until``."""

    role = models.CharField(primary_key=True, max_length=32)
    holder = models.CharField(max_length=128)
    until = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.role}: {self.holder}"


class StageTiming(models.Model):
    """How long a stage takes, learned from those that ended: a moving average of seconds for each second of media,
    and of seconds in all for stages that do not depend on length."""

    id = models.BigAutoField(primary_key=True)
    pipeline = models.CharField(max_length=32)
    stage = models.CharField(max_length=32)
    samples = models.PositiveIntegerField(default=0)
    seconds = models.FloatField(default=0.0)
    seconds_per_media_second = models.FloatField(default=0.0)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("pipeline", "stage"), name="timing_once_per_stage"),)

    def __str__(self) -> str:
        return f"{self.pipeline}/{self.stage}"


class Piece(models.Model):
    """The result for one segment, kept by digest for reuse within one owner: small ones here, others in storage."""

    id = models.BigAutoField(primary_key=True)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    digest = models.CharField(max_length=64)
    payload = models.BinaryField(null=True)
    storage_key = models.CharField(max_length=512, blank=True, default="")
    created_at = models.DateTimeField(auto_now_add=True)
    used_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("owner", "digest"), name="piece_once_per_digest"),)

    def __str__(self) -> str:
        return self.digest
