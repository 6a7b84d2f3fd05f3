"""Progress between events: no rows, at most two a second for a stage."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from jobs.models import Job, StageRun
from jobs.realtime.publish import publish_events
from jobs.services import estimates
from jobs.services.claims import Claim


def tick(claim: Claim, percent: float, data: dict[str, Any]) -> None:
    """Keep the job's progress and tell listeners. Progress never goes back while the job runs."""
    job = claim.job
    fields = ("stage", "language", "shard", "status", "progress", "media_seconds")
    runs = list(StageRun.objects.filter(job=job).only(*fields))
    progress = max(job.progress, estimates.job_progress(job, runs))
    Job.objects.filter(pk=job.pk, progress__lt=progress).update(progress=progress)
    job.progress = progress
    run = claim.run
    at = timezone.now().isoformat().replace("+00:00", "Z")
    stage = {"stage": run.stage, "language": run.language, "shard": run.shard, "progress": percent, **data}
    whole = {"progress": progress, "eta_seconds": estimates.job_eta_seconds(job, runs)}
    base = {"seq": None, "job": str(job.pk), "at": at}
    publish_events(
        job_id=str(job.pk),
        owner_id=str(job.owner_id),
        events=[{**base, "type": "stage.progress", "data": stage}, {**base, "type": "job.progress", "data": whole}],
    )
