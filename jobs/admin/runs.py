"""Stage runs, their attempts, and the workers that make them."""

from __future__ import annotations

from django.contrib import admin
from unfold.decorators import display

from accounts.admin.base import ReadOnlyAdmin, ReadOnlyInline
from jobs.admin.jobs import STATUS_COLOURS
from jobs.models import StageAttempt, StageRun, WorkerProcess


class Attempts(ReadOnlyInline):
    """Every try of a run."""

    model = StageAttempt
    fields = ("number", "worker", "started_at", "ended_at", "outcome", "error_code", "error_text")


@admin.register(StageRun)
class StageRunAdmin(ReadOnlyAdmin):
    """What workers run: stages by language and shard."""

    list_display = (
        "__str__",
        "job",
        "shown_status",
        "queue",
        "priority",
        "attempt",
        "crash_count",
        "lease_owner",
        "run_after",
    )
    list_filter = ("status", "stage", "queue", "cached")
    search_fields = ("job__id", "job__title", "lease_owner", "provider")
    list_select_related = ("job",)
    ordering = ("-id",)
    fields = (
        "job", "owner", "stage", "language", "shard", "shards_total", "shard_spec", "status", "queue", "priority",
        "run_after", "ready_at", "dispatched_at", "started_at", "finished_at", "attempt", "max_attempts", "crash_count",
        "fence", "lease_owner", "lease_until", "heartbeat_at", "provider", "cached", "fresh", "progress",
        "progress_data", "input_digest", "outputs", "cost_cents", "error",
    )  # fmt: skip
    inlines = (Attempts,)

    @display(description="Status", ordering="status", label=STATUS_COLOURS)  # type: ignore[untyped-decorator]
    def shown_status(self, run: StageRun) -> str:
        """A coloured label."""
        return run.status


@admin.register(StageAttempt)
class StageAttemptAdmin(ReadOnlyAdmin):
    """Tries, newest first."""

    list_display = ("run", "job", "number", "worker", "outcome", "error_code", "started_at", "ended_at")
    list_filter = ("outcome", "error_code", "run__stage")
    search_fields = ("worker", "error_text", "run__job__id")
    list_select_related = ("run__job",)
    ordering = ("-id",)
    fields = (
        "run", "number", "fence", "worker", "started_at", "ended_at", "outcome", "error_class", "error_code",
        "error_text",
    )  # fmt: skip

    @admin.display(description="Job")
    def job(self, attempt: StageAttempt) -> str:
        """The job of its run."""
        return str(attempt.run.job)


@admin.register(WorkerProcess)
class WorkerProcessAdmin(ReadOnlyAdmin):
    """Workers, alive or gone."""

    list_display = ("name", "queue", "host", "pid", "busy", "started_at", "seen_at")
    list_filter = ("queue", "busy", "host")
    search_fields = ("name", "host")
    ordering = ("-seen_at",)
