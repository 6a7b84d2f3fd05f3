"""The server: HTTP by Django, websockets by Channels."""

from __future__ import annotations

import os

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
http = get_asgi_application()

from config.sockets import unknown_address  # noqa: E402  (models need the registry that was just made)
from jobs.realtime.routing import websocket_urlpatterns  # noqa: E402

application = ProtocolTypeRouter(
    {
        "http": http,
        "websocket": unknown_address(AuthMiddlewareStack(URLRouter(websocket_urlpatterns))),
    }
)
