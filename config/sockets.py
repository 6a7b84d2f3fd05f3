"""Websockets to addresses that there are not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from django.urls import Resolver404, resolve

App = Callable[[dict[str, Any], Any, Any], Awaitable[None]]
REFUSED = 4403


def unknown_address(app: App) -> App:
    """Close them with 4403, as any that is not one's own; URLRouter would raise and log an error."""

    async def routed(scope: dict[str, Any], receive: Any, send: Any) -> None:
        try:
            resolve(scope["path"], "jobs.realtime.routing")
        except Resolver404:
            await receive()
            await send({"type": "websocket.accept"})
            await send({"type": "websocket.close", "code": REFUSED})
            return
        await app(scope, receive, send)

    return routed
