"""What happened to a job, in order."""

from __future__ import annotations

from django.db import models


class JobEvent(models.Model):
    """One state change. ``seq`` counts from 1 without gaps within its job; ``type`` is of the design's list."""

    id = models.BigAutoField(primary_key=True)
    job = models.ForeignKey("jobs.Job", on_delete=models.CASCADE, related_name="events")
    seq = models.PositiveBigIntegerField()
    type = models.CharField(max_length=32)
    data = models.JSONField(default=dict)
    at = models.DateTimeField()

    class Meta:
        ordering = ("job", "seq")
        constraints = (models.UniqueConstraint(fields=("job", "seq"), name="event_once_per_seq"),)

    def __str__(self) -> str:
        return f"{self.job_id} {self.seq} {self.type}"
