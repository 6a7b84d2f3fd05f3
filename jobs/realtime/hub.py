"""One Redis subscription a web process, fanned out to the listeners of that process.

A listener's queue is bounded. When it is full, or when the connection to Redis was lost, the listener is told that it
is ``stale``: it then reads the rows, which are the truth. Nobody is robbed in silence.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import weakref
from collections import defaultdict, deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import redis.asyncio
import structlog
from django.conf import settings
from redis.exceptions import RedisError

from jobs.realtime.publish import CHANNEL

QUEUE = 256
BACKOFF = (0.2, 5.0)
PING_EVERY = 20.0
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class News:
    """What came since the last look. ``stale``: something may be missing, read the rows."""

    events: tuple[dict[str, Any], ...]
    stale: bool


class Subscription:
    """One listener's queue."""

    def __init__(self, size: int = QUEUE) -> None:
        self._size = size
        self._events: deque[dict[str, Any]] = deque()
        self._stale = False
        self._wake = asyncio.Event()

    def offer(self, events: list[dict[str, Any]]) -> None:
        """Take events; when there is no room for them all, drop what is there and be stale."""
        if len(self._events) + len(events) > self._size:
            self._events.clear()
            self._stale = True
        else:
            self._events.extend(events)
        self._wake.set()

    def mark_stale(self) -> None:
        """Something may have been missed."""
        self._stale = True
        self._wake.set()

    async def next(self, timeout: float) -> News:
        """Wait for news, at most ``timeout`` seconds; empty after that."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), timeout)
        self._wake.clear()
        news = News(tuple(self._events), self._stale)
        self._events.clear()
        self._stale = False
        return news


class Hub:
    """The subscriptions of one event loop. Listens to Redis while there are any."""

    def __init__(self) -> None:
        self._topics: dict[str, set[Subscription]] = defaultdict(set)
        self._task: asyncio.Task[None] | None = None
        self._listening = asyncio.Event()

    @contextlib.asynccontextmanager
    async def subscribe(self, topic: str, size: int = QUEUE) -> AsyncIterator[Subscription]:
        """Listen to ``job:<id>`` or ``owner:<id>``. Redis away is no error: the subscription is stale later."""
        subscription = Subscription(size)
        self._topics[topic].add(subscription)
        if self._task is None or self._task.done():
            self._listening.clear()
            self._task = asyncio.create_task(self._run(), name="event-hub")
        try:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._listening.wait(), 2.0)
            yield subscription
        finally:
            self._topics[topic].discard(subscription)
            if not self._topics[topic]:
                del self._topics[topic]
            if not self._topics and self._task is not None:
                self._task.cancel()

    async def _run(self) -> None:
        delay = BACKOFF[0]
        while True:
            try:
                await self._listen()
            except (RedisError, OSError, asyncio.IncompleteReadError) as error:
                log.warning("hub.lost", error=type(error).__name__)
            if self._listening.is_set():
                self._listening.clear()
                delay = BACKOFF[0]
            await asyncio.sleep(delay * random.uniform(0.5, 1.0))  # noqa: S311  (jitter)
            delay = min(delay * 2, BACKOFF[1])

    async def _listen(self) -> None:
        client = redis.asyncio.Redis.from_url(
            settings.REDIS_URL, socket_timeout=None, socket_connect_timeout=settings.REDIS_TIMEOUT
        )
        async with client, client.pubsub() as pubsub:
            await pubsub.subscribe(CHANNEL)
            while True:
                message = await pubsub.get_message(timeout=PING_EVERY)
                if message is None:
                    await pubsub.ping()
                elif message["type"] == "subscribe":
                    self._subscribed()
                elif message["type"] == "message":
                    self._fan_out(message["data"])

    def _subscribed(self) -> None:
        self._listening.set()
        for subscriptions in self._topics.values():
            for subscription in subscriptions:
                subscription.mark_stale()

    def _fan_out(self, raw: bytes) -> None:
        try:
            payload = json.loads(raw)
            job, owner, events = payload["job"], payload["owner"], payload["events"]
        except (ValueError, KeyError, TypeError):
            log.warning("hub.foreign_message")
            return
        for topic in (f"job:{job}", f"owner:{owner}"):
            for subscription in self._topics.get(topic, ()):
                subscription.offer(events)


_hubs: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Hub] = weakref.WeakKeyDictionary()


def hub() -> Hub:
    """The one of the running event loop."""
    loop = asyncio.get_running_loop()
    if loop not in _hubs:
        _hubs[loop] = Hub()
    return _hubs[loop]
