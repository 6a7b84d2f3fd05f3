"""Changes what a user or an operator may change of a job that exists."""

from __future__ import annotations

import uuid

from jobs.models import Job, StageRun
from jobs.services.transitions import job_scope
from jobs.state import RUN_OPEN


def job_edit(*, job_id: uuid.UUID, title: str | None = None, priority: int | None = None) -> Job:
    """Change title or priority; the priority of what is not dispatched yet changes with it."""
    with job_scope(job_id) as scope:
        if title is not None:
            scope.change(title=title)
        if priority is not None:
            scope.change(priority=priority)
            StageRun.objects.filter(job_id=job_id, status__in=RUN_OPEN).update(priority=priority)
    return scope.job
