"""Websockets: ``/ws/jobs/{id}/?after=seq`` and ``/ws/jobs/``."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any
from urllib.parse import parse_qs, urlsplit

import structlog
from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings
from django.http.request import validate_host
from redis.exceptions import RedisError

from accounts.models import User
from accounts.services.api_keys import api_key_authenticate
from jobs.realtime.follow import Event, follow_job, follow_owner
from jobs.realtime.tickets import ticket_redeem
from jobs.selectors import jobs_visible_to

NOT_SIGNED_IN = 4401
REFUSED = 4403
log = structlog.get_logger(__name__)


class JobsConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]
    """Sends events as JSON; what the client sends is ignored.

    Refusals come as close codes after the handshake, because browsers do not show the status of a refused one.
    """

    task: asyncio.Task[None] | None = None

    async def connect(self) -> None:
        """Let in who may, and start sending."""
        await self.accept()
        headers = {name.decode().lower(): value.decode("latin-1") for name, value in self.scope["headers"]}
        query = parse_qs(self.scope["query_string"].decode())
        if not origin_allowed(headers):
            await self.close(REFUSED)
            return
        user = await self._user(headers, query.get("ticket", [""])[0])
        if user is None:
            await self.close(NOT_SIGNED_IN)
            return
        job_id = self.scope["url_route"]["kwargs"].get("job_id")
        if job_id is not None and not await database_sync_to_async(jobs_visible_to(user).filter(pk=job_id).exists)():
            await self.close(REFUSED)
            return
        after = query.get("after", ["0"])[0]
        events = self._events(user, job_id, int(after) if after.isascii() and after.isdecimal() else 0)
        self.task = asyncio.create_task(self._pump(events))

    async def disconnect(self, code: int) -> None:
        """Stop sending."""
        if self.task is not None:
            self.task.cancel()

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Nothing that a client says changes anything."""

    def _events(self, user: User, job_id: uuid.UUID | None, after: int) -> AsyncGenerator[Event | None, None]:
        return follow_owner(user.pk) if job_id is None else follow_job(job_id, min(after, 2**62))

    async def _pump(self, events: AsyncGenerator[Event | None, None]) -> None:
        try:
            async with aclosing(events):
                async for event in events:
                    if event is not None:
                        await self.send(text_data=json.dumps(event, ensure_ascii=False))
        except asyncio.CancelledError:
            raise
        except Exception as error:  # whatever it is, the client must know that it has to come again
            log.exception("socket.failed", error=type(error).__name__)
            await self.close(1011)

    async def _user(self, headers: dict[str, str], ticket: str) -> User | None:
        found: User | None = None
        keyword, _, plain = headers.get("authorization", "").partition(" ")
        user = self.scope.get("user")
        if ticket:
            found = await database_sync_to_async(_user_of_ticket)(ticket)
        elif keyword.lower() == "api-key":
            found = await database_sync_to_async(_user_of_key)(plain.strip())
        elif isinstance(user, User) and user.is_active:
            found = user
        return found


def origin_allowed(headers: dict[str, str]) -> bool:
    """Browsers always send Origin: it must be of the host that is asked, or of CSRF_TRUSTED_ORIGINS. Programs send
    none."""
    origin = headers.get("origin")
    if origin is None:
        return True
    if origin in settings.CSRF_TRUSTED_ORIGINS:
        return True
    try:
        parts = urlsplit(origin)
        host = parts.hostname or ""
    except ValueError:
        return False
    allowed = [*settings.ALLOWED_HOSTS, *(["localhost", "127.0.0.1", "[::1]"] if settings.DEBUG else [])]
    same = parts.netloc.lower() == headers.get("host", "").lower()
    return parts.scheme in {"http", "https"} and same and validate_host(f"[{host}]" if ":" in host else host, allowed)


def _user_of_ticket(ticket: str) -> User | None:
    try:
        user_id = ticket_redeem(ticket)
    except RedisError:
        return None
    return User.objects.filter(pk=user_id, is_active=True).first() if user_id else None


def _user_of_key(plain: str) -> User | None:
    key = api_key_authenticate(plain)
    if key is None or (key.scopes and not {"jobs:read", "jobs:write", "admin"} & set(key.scopes)):
        return None
    user: Any = key.user
    return user if isinstance(user, User) else None
