"""``/livez``: the process answers. ``/readyz``: it can take work."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import structlog
from django.db import DatabaseError, connection
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from redis.exceptions import RedisError

from assets import storage
from jobs.models import WorkerProcess
from jobs.realtime.publish import client
from media_pipeline.errors import StorageUnavailable

FAULTS = (DatabaseError, RedisError, OSError, StorageUnavailable)
ALIVE = timedelta(seconds=60)
log = structlog.get_logger(__name__)


@require_safe
@never_cache
def livez(request: HttpRequest) -> JsonResponse:
    """Always 200."""
    return JsonResponse({"status": "ok"})


@require_safe
@never_cache
def readyz(request: HttpRequest) -> JsonResponse:
    """200 when database, Redis and storage answer, else 503; how many workers live is told, and not required."""
    checks = {"database": _check(_database), "redis": _check(_redis), "storage": _check(_storage)}
    ready = all(state == "ok" for state in checks.values())
    workers: int | None = None
    if checks["database"] == "ok":
        workers = WorkerProcess.objects.filter(seen_at__gte=timezone.now() - ALIVE).count()
    body: dict[str, Any] = {"status": "ok" if ready else "unavailable", "checks": checks, "workers": workers}
    return JsonResponse(body, status=200 if ready else 503, headers={} if ready else {"Retry-After": "5"})


def _check(probe: Callable[[], object]) -> str:
    try:
        probe()
    except FAULTS as error:
        log.warning("health.failed", check=probe.__name__, error=type(error).__name__)
        return "failed"
    return "ok"


def _database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def _redis() -> None:
    client().ping()


def _storage() -> None:
    storage.reach()
