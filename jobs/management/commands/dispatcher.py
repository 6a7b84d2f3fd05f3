"""``manage.py dispatcher``: the engine's clock."""

from __future__ import annotations

from typing import Any

from django.core.management import BaseCommand

from jobs.execution.dispatcher import serve


class Command(BaseCommand):
    """Dispatches and reconciles; of many, one is elected."""

    help = "Dispatch and reconcile until asked to leave. Any number may run: one is elected."

    def handle(self, *args: Any, **options: Any) -> None:
        serve()
