"""The clock of the engine: a tick each second, a reconciliation every five, by whichever process was elected."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import threading
import time

import structlog
from django.conf import settings
from django.db import DatabaseError, close_old_connections, connection

from jobs.services import dispatch
from jobs.services.reconcile import elected, reconcile
from media_pipeline.tools.process import die_with_parent

log = structlog.get_logger(__name__)

TICK_SECONDS = 1.0


def serve() -> None:
    """Tick until asked to leave."""
    die_with_parent()
    leaving = threading.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda *_: leaving.set())
    holder = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(2)}"
    reconciled = 0.0
    log.info("dispatcher.started")
    while not leaving.wait(TICK_SECONDS):
        try:
            close_old_connections()
            if not elected(role="dispatcher", holder=holder):
                continue
            if time.monotonic() - reconciled >= settings.DRAGOMAN["RECONCILE"].total_seconds():
                reconcile()
                reconciled = time.monotonic()
            dispatch.dispatch_all()
        except DatabaseError as error:
            log.warning("dispatcher.database_away", error=type(error).__name__)
            connection.close()
    log.info("dispatcher.left")
