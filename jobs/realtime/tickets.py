"""One-time tickets: a websocket of a browser or a program that cannot send a header opens with one."""

from __future__ import annotations

import secrets
import uuid

from jobs.realtime.publish import client

TTL = 60
"""Seconds."""
KEY = "dragoman:ticket:"


def ticket_create(user_id: uuid.UUID) -> str:
    """A ticket of this user; good once, for ``TTL`` seconds. Raises RedisError."""
    ticket = secrets.token_urlsafe(32)
    client().set(KEY + ticket, str(user_id), ex=TTL)
    return ticket


def ticket_redeem(ticket: str) -> uuid.UUID | None:
    """The user of the ticket, which is spent by this call; None when it is unknown, spent or old. Raises RedisError."""
    found = client().getdel(KEY + ticket) if 0 < len(ticket) < 100 else None
    return uuid.UUID(found.decode()) if isinstance(found, bytes) else None
