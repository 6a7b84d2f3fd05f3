"""Tells whoever listens that something happened. A hint: the rows are the truth, and ``seq`` finds what was missed.

One Redis channel carries ``{"job", "owner", "events": [{"seq", "type", "job", "at", "data"}]}``. Progress ticks are
not rows and have ``"seq": null``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from typing import Any

import redis
import structlog
from django.conf import settings
from redis.backoff import ConstantBackoff
from redis.retry import Retry

CHANNEL = "dragoman:events"
CONTROL = "dragoman:control"
log = structlog.get_logger(__name__)


@cache
def client() -> redis.Redis:
    """This process's client for short commands."""
    return redis.Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=settings.REDIS_TIMEOUT,
        socket_connect_timeout=settings.REDIS_TIMEOUT,
        retry=once_more(),
    )


def once_more() -> Retry:
    """One more try, soon. redis-py's own three tries take up to 7 s each time, and what we send can wait."""
    return Retry(ConstantBackoff(0.05), 1)


def publish_events(*, job_id: str, owner_id: str, events: Sequence[dict[str, Any]]) -> None:
    """Send events to listeners. Redis away is no error: they read the rows when it is back."""
    _send(CHANNEL, {"job": job_id, "owner": owner_id, "events": list(events)})


def publish_cancel(job_id: str) -> None:
    """Tell workers at once that a job is cancelled; they find out within a second anyway."""
    _send(CONTROL, {"cancel": job_id})


def _send(channel: str, payload: dict[str, Any]) -> None:
    try:
        client().publish(channel, json.dumps(payload, ensure_ascii=False))
    except redis.RedisError as error:
        log.warning("publish.failed", channel=channel, error=type(error).__name__)
