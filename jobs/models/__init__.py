"""Jobs, their stage runs, attempts, events and artifacts; workers and what they learned."""

from jobs.models.artifact import Artifact
from jobs.models.event import JobEvent
from jobs.models.job import Job
from jobs.models.operations import Election, Piece, StageTiming, WorkerProcess
from jobs.models.stage_attempt import StageAttempt
from jobs.models.stage_run import StageRun

__all__ = [
    "Artifact",
    "Election",
    "Job",
    "JobEvent",
    "Piece",
    "StageAttempt",
    "StageRun",
    "StageTiming",
    "WorkerProcess",
]
