"""Jobs and what belongs to them in the admin: read-only state, and actions that call services."""

from jobs.admin.jobs import JobAdmin
from jobs.admin.runs import StageAttemptAdmin, StageRunAdmin, WorkerProcessAdmin
from jobs.admin.traces import ArtifactAdmin, JobEventAdmin

__all__ = ["ArtifactAdmin", "JobAdmin", "JobEventAdmin", "StageAttemptAdmin", "StageRunAdmin", "WorkerProcessAdmin"]
