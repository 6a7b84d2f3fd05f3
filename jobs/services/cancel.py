"""Cancels jobs."""

from __future__ import annotations

import uuid

from jobs.errors import AlreadyEnded
from jobs.failpoints import Failpoint, failpoint
from jobs.models import Job
from jobs.realtime.publish import publish_cancel
from jobs.services import ending
from jobs.services.transitions import job_scope
from jobs.state import JOB_ENDED, JobStatus


def job_cancel(*, job_id: uuid.UUID) -> Job:
    """Mark the job, stop what has not begun, and tell the workers. Cancelling twice is one cancel.

    Raises AlreadyEnded.
    """
    with job_scope(job_id) as scope:
        if scope.job.status in JOB_ENDED:
            raise AlreadyEnded(f"The job has {scope.job.status} already.")
        scope.job_to(JobStatus.CANCELLING, cancel_requested_at=scope.now)
        ending.cancel_if_idle(scope)
    failpoint(Failpoint.CANCEL_AFTER_COMMIT)
    publish_cancel(str(job_id))
    return scope.job
