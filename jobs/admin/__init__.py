"""Jobs and what belongs to them in the admin: read-only state, and actions that call services."""

from django.contrib import admin
from django_rq.models import Dashboard

from jobs.admin.jobs import JobAdmin
from jobs.admin.runs import StageAttemptAdmin, StageRunAdmin, WorkerProcessAdmin
from jobs.admin.traces import ArtifactAdmin, JobEventAdmin

__all__ = ["ArtifactAdmin", "JobAdmin", "JobEventAdmin", "StageAttemptAdmin", "StageRunAdmin", "WorkerProcessAdmin"]

admin.site.unregister(Dashboard)  # Redis only carries: its queues show nothing that our runs do not
