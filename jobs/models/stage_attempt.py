"""One try of a stage run."""

from __future__ import annotations

from django.db import models

from jobs.state import AttemptOutcome


class StageAttempt(models.Model):
    """Written when a worker claims and once more when the try ends; never overwritten by a later try."""

    id = models.BigAutoField(primary_key=True)
    run = models.ForeignKey("jobs.StageRun", on_delete=models.CASCADE, related_name="attempts")
    number = models.PositiveIntegerField()
    fence = models.PositiveBigIntegerField()
    worker = models.CharField(max_length=128)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    outcome = models.CharField(max_length=16, choices=AttemptOutcome.choices, default=AttemptOutcome.RUNNING)
    error_class = models.CharField(max_length=128, blank=True)
    error_code = models.CharField(max_length=64, blank=True)
    error_text = models.TextField(blank=True)

    class Meta:
        ordering = ("run", "number")
        constraints = (models.UniqueConstraint(fields=("run", "fence"), name="attempt_once_per_fence"),)

    def __str__(self) -> str:
        return f"{self.run_id} #{self.number}"
