"""Events as server-sent events (WHATWG HTML, section 9.2)."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator
from contextlib import aclosing

from channels.db import database_sync_to_async

from jobs.models import Job
from jobs.realtime.follow import HEARTBEAT, Event, follow_job
from jobs.state import JOB_ENDED

LAST = frozenset({"job.succeeded", "job.failed", "job.cancelled"})
COMMENT = b": still here\n\n"


async def event_stream(job_id: uuid.UUID, after: int, *, heartbeat: float = HEARTBEAT) -> AsyncIterator[bytes]:
    """Frames, until the job has ended and its last event was sent."""
    yield b"retry: 2000\n\n"
    last = after
    async with aclosing(follow_job(job_id, after, heartbeat=heartbeat)) as events:
        async for event in events:
            if event is None:
                yield COMMENT
            else:
                last = event["seq"] or last
                yield frame(event)
            if (event is None or event["type"] in LAST) and await database_sync_to_async(_is_over)(job_id, last):
                return


def frame(event: Event) -> bytes:
    """One event; ticks have no id, so that a reconnect begins after the last one that is kept."""
    id = "" if event["seq"] is None else f"id: {event['seq']}\n"
    return f"{id}event: {event['type']}\ndata: {json.dumps(event, ensure_ascii=False)}\n\n".encode()


def _is_over(job_id: uuid.UUID, last: int) -> bool:
    if not Job.objects.filter(pk=job_id).exists():
        return True
    return Job.objects.filter(pk=job_id, status__in=JOB_ENDED, event_seq__lte=last).exists()
