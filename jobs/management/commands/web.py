"""``manage.py web``: the web server alone."""

from __future__ import annotations

from typing import Any

import uvicorn
from django.core.management import BaseCommand, CommandParser

from config import settings as configured
from media_pipeline.tools.process import die_with_parent


class Command(BaseCommand):
    """HTTP and websockets by uvicorn."""

    help = "Serve HTTP and websockets."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=int, default=configured.ENV.port)
        parser.add_argument("--host", default="127.0.0.1")

    def handle(self, *args: Any, **options: Any) -> None:
        die_with_parent()
        uvicorn.run(
            "config.asgi:application",
            host=options["host"],
            port=options["port"],
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=5,
            ws_ping_interval=20,
            forwarded_allow_ips="*" if configured.ENV.proxy_hops else None,
        )
