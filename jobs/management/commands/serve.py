"""``manage.py serve``: everything on one machine."""

from __future__ import annotations

import sys
from typing import Any

from django.conf import settings
from django.core.management import BaseCommand, CommandParser, call_command

from config import settings as configured
from jobs.execution.supervisor import Supervisor, start_redis


class Command(BaseCommand):
    """Redis if none is named, the database's migrations, web, dispatcher and workers."""

    help = "Run everything on one machine: Redis if none is named, web, dispatcher and a pool of workers."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=int, default=configured.ENV.port)
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--workers", default="auto", help="'auto', or the number of workers of the cpu queue.")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["workers"] != "auto" and not options["workers"].isdigit():
            self.stderr.write("--workers is 'auto' or a number.")
            sys.exit(2)
        redis_server = start_redis()
        try:
            call_command("migrate", interactive=False, verbosity=0)
            if not settings.DEBUG:
                call_command("collectstatic", interactive=False, verbosity=0)
            supervisor = Supervisor(port=options["port"], host=options["host"], workers=options["workers"])
            code = supervisor.run(redis_server)
        finally:
            if redis_server:
                redis_server.stop()
        sys.exit(code)
