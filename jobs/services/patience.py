"""Waiting for a database that is away for a moment: restarted, failed over, or a connection that was cut."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import structlog
from django.conf import settings
from django.db import InterfaceError, OperationalError, close_old_connections

T = TypeVar("T")
AWAY = (OperationalError, InterfaceError)
"""What Django raises when a connection is gone or cannot be had."""
AGAIN_SECONDS = 1.0
log = structlog.get_logger(__name__)


def patiently(act: Callable[[], T]) -> T:
    """Do it; again when the database was away, for as long as a lease lasts: then what we hold is somebody else's.

    ``act`` must be fit to be done twice: the first time may have been written unseen. Raises what the last try raised.
    """
    until = time.monotonic() + settings.DRAGOMAN["LEASE"].total_seconds()
    while True:
        try:
            return act()
        except AWAY as error:
            if time.monotonic() > until:
                raise
            log.warning("database.away", error=type(error).__name__)
            close_old_connections()
            time.sleep(AGAIN_SECONDS)
