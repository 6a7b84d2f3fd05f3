"""One stage of one job, in one language, or one shard of it."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from jobs.state import Priority, RunStatus

WHOLE = 0
"""The shard number of a stage as a whole; shards count from 1."""


class StageRun(models.Model):
    """The unit that workers run.

    ``fence`` rises with every dispatch and every claim; whoever writes must hold the current one. ``outputs`` is
    ``{"facts", "usage", "warnings"}``. ``input_digest`` is of everything that makes the output. ``shards_total`` is
    null until the stage was cut. ``fresh`` says that existing outputs must not be reused (a retry asked for that).
    ``owner`` is the job's, repeated here because the dispatcher's query must not join.
    """

    id = models.BigAutoField(primary_key=True)
    job = models.ForeignKey("jobs.Job", on_delete=models.CASCADE, related_name="runs")
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    stage = models.CharField(max_length=32)
    language = models.CharField(max_length=16, blank=True, default="")
    shard = models.PositiveIntegerField(default=WHOLE)
    shard_spec = models.JSONField(default=dict)
    shards_total = models.PositiveIntegerField(null=True, blank=True)
    position = models.PositiveSmallIntegerField(default=0)
    media_seconds = models.FloatField(default=0.0)

    status = models.CharField(max_length=16, choices=RunStatus.choices, default=RunStatus.WAITING)
    queue = models.CharField(max_length=16)
    priority = models.PositiveSmallIntegerField(choices=Priority.choices, default=Priority.NORMAL)
    run_after = models.DateTimeField(null=True, blank=True)
    ready_at = models.DateTimeField(null=True, blank=True)
    dispatched_at = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    attempt = models.PositiveIntegerField(default=0)
    max_attempts = models.PositiveSmallIntegerField(default=4)
    crash_count = models.PositiveSmallIntegerField(default=0)
    fence = models.PositiveBigIntegerField(default=0)
    lease_owner = models.CharField(max_length=128, blank=True, default="")
    lease_until = models.DateTimeField(null=True, blank=True)
    heartbeat_at = models.DateTimeField(null=True, blank=True)

    input_digest = models.CharField(max_length=64, blank=True, default="")
    outputs = models.JSONField(default=dict)
    provider = models.CharField(max_length=64, blank=True, default="")
    cached = models.BooleanField(default=False)
    fresh = models.BooleanField(default=False)
    progress = models.FloatField(default=0.0)
    progress_data = models.JSONField(default=dict)
    cost_cents = models.FloatField(default=0.0)
    error = models.JSONField(null=True, blank=True)

    class Meta:
        ordering = ("position", "language", "shard")
        constraints = (
            models.UniqueConstraint(fields=("job", "stage", "language", "shard"), name="run_once_per_place"),
        )
        indexes = (
            models.Index(
                fields=("queue", "owner", "priority", "ready_at", "id"),
                condition=Q(status="ready"),
                name="run_ready",
            ),
            models.Index(
                fields=("queue", "status", "owner"),
                condition=Q(status__in=("dispatched", "running")),
                name="run_in_flight",
            ),
            models.Index(
                fields=("owner", "input_digest"),
                condition=Q(status__in=("succeeded", "skipped")),
                name="run_digest",
            ),
        )

    def __str__(self) -> str:
        return "/".join(part for part in (self.stage, self.language, str(self.shard or "")) if part)
