"""One step of the engine in a process that can be killed there: ``python -m tests.jobs.engine.act submit|work|…``."""

from __future__ import annotations

import json
import os
import sys
import uuid

import django

django.setup()

from django.utils import timezone  # noqa: E402  (needs settings)

from accounts.models import User  # noqa: E402
from jobs.execution.monitor import Monitor  # noqa: E402
from jobs.execution.runner import Worker, run_once  # noqa: E402
from jobs.services import dispatch  # noqa: E402
from jobs.services.cancel import job_cancel  # noqa: E402
from jobs.services.reconcile import reconcile  # noqa: E402
from jobs.services.retry import job_retry  # noqa: E402
from jobs.services.submission import JobRequest, job_submit  # noqa: E402


def submit(order: str) -> None:
    """A JSON object: owner, asset, folder."""
    wanted = json.loads(order)
    job_submit(
        owner=User.objects.get(pk=wanted["owner"]),
        request=JobRequest(
            kind="tiny",
            asset_id=uuid.UUID(wanted["asset"]),
            source_language="en",
            target_languages=("es",),
            params={"folder": wanted["folder"]},
        ),
    )


def work() -> None:
    """Run what is ready until nothing is."""
    worker = Worker(name=f"act-{os.getpid()}", queue="cpu", monitor=Monitor("act"))
    while picked := dispatch.pick("cpu", 1):
        run_once(worker, *picked[0])


if __name__ == "__main__":
    verb, *rest = sys.argv[1:]
    {
        "submit": submit,
        "dispatch": lambda: dispatch.dispatch_all(now=timezone.now()),
        "work": work,
        "cancel": lambda job: job_cancel(job_id=uuid.UUID(job)),
        "retry": lambda job: job_retry(job_id=uuid.UUID(job)),
        "reconcile": reconcile,
    }[verb](*rest)  # type: ignore[operator]
