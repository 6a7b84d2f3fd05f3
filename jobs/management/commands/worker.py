"""``manage.py worker --queue cpu``: one warm worker."""

from __future__ import annotations

from typing import Any

from django.core.management import BaseCommand, CommandParser

from jobs.execution.worker import work
from jobs.services.dispatch import QUEUES


class Command(BaseCommand):
    """One process that serves one queue."""

    help = "Serve one queue until asked to leave."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--queue", choices=QUEUES, required=True)

    def handle(self, *args: Any, **options: Any) -> None:
        work(options["queue"])
