"""Follows events: replay from the rows, then live ones, without a gap and without a repetition."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator, AsyncIterator
from datetime import datetime
from typing import Any

from channels.db import database_sync_to_async
from django.db.models import Max
from django.utils import timezone

from jobs import metrics
from jobs.models import JobEvent
from jobs.realtime.hub import hub
from jobs.selectors import events_after
from jobs.services.transitions import event_json

PAGE = 1000
HEARTBEAT = 15.0
MARGIN = 1000
"""Row ids are given before commit: a lower one may appear after a higher one."""

Event = dict[str, Any]


async def follow_job(
    job_id: uuid.UUID, after: int, *, heartbeat: float = HEARTBEAT
) -> AsyncGenerator[Event | None, None]:
    """All events with a seq above ``after``, in order, without end; progress ticks between; None when it was quiet.

    None is also given once when the replay is through.
    """
    last = after
    async with hub().subscribe(f"job:{job_id}") as subscription:
        stale = True
        events: tuple[Event, ...] = ()
        while True:
            quiet = not events
            gap = any(e["seq"] is not None for e in events) and _gap(events, last)
            if stale or gap or quiet:
                async for event in _replay(job_id, last):
                    last = event["seq"]
                    yield event
            for event in events:
                if event["seq"] is None:
                    yield event
                elif event["seq"] > last:
                    last = event["seq"]
                    yield event
                    await _sent(event)
            if quiet:
                yield None
            news = await subscription.next(heartbeat)
            events, stale = news.events, news.stale


async def _sent(event: Event) -> None:
    """The listener has come back for more, so that this one is on its way."""
    took = timezone.now() - datetime.fromisoformat(event["at"])
    metrics.count_delivery(type=event["type"], seconds=took.total_seconds())
    if metrics.due():
        await asyncio.to_thread(metrics.flush)


def _gap(events: tuple[Event, ...], last: int) -> bool:
    """Whether some seq between is missing."""
    for event in events:
        if event["seq"] is not None and event["seq"] > last:
            if event["seq"] != last + 1:
                return True
            last = event["seq"]
    return False


async def _replay(job_id: uuid.UUID, after: int) -> AsyncIterator[Event]:
    while True:
        rows = await database_sync_to_async(events_after)(job_id, after, PAGE)
        for row in rows:
            after = row.seq
            yield event_json(row)
        if len(rows) < PAGE:
            return


async def follow_owner(owner_id: uuid.UUID, *, heartbeat: float = HEARTBEAT) -> AsyncGenerator[Event | None, None]:
    """Events of all jobs of one owner from now on, in order within each job; None when it was quiet."""
    seen: dict[str, int] = {}
    began = timezone.now()
    async with hub().subscribe(f"owner:{owner_id}") as subscription:
        row_id = await database_sync_to_async(_newest_row)()
        yield None
        while True:
            news = await subscription.next(heartbeat)
            if news.stale or not news.events or _any_gap(news.events, seen):
                rows, row_id = await database_sync_to_async(_rows_since)(owner_id, row_id, began)
                for event in rows:
                    if event["seq"] > seen.get(event["job"], 0):
                        seen[event["job"]] = event["seq"]
                        yield event
            for event in news.events:
                if event["seq"] is None:
                    yield event
                elif event["seq"] > seen.get(event["job"], 0):
                    seen[event["job"]] = event["seq"]
                    yield event
                    await _sent(event)
            if not news.events:
                yield None


def _any_gap(events: tuple[Event, ...], seen: dict[str, int]) -> bool:
    return any(e["seq"] is not None and e["job"] in seen and e["seq"] > seen[e["job"]] + 1 for e in events)


def _newest_row() -> int:
    return JobEvent.objects.aggregate(newest=Max("id"))["newest"] or 0


def _rows_since(owner_id: uuid.UUID, row_id: int, began: datetime) -> tuple[list[Event], int]:
    newest = _newest_row()
    rows = JobEvent.objects.filter(id__gt=row_id - MARGIN, job__owner=owner_id, at__gte=began).order_by("id")
    return [event_json(row) for row in rows.iterator()], newest
