"""What the lines of a web request carry beside ``request_id``: a trace id, how long it took, and what it was about."""

from __future__ import annotations

import re
import secrets
import time
from typing import Any

import structlog
from django.http import HttpRequest
from django_structlog.signals import bind_extra_request_finished_metadata, bind_extra_request_metadata

TRACEPARENT = re.compile(r"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?")
"""W3C Trace Context, section 3.2."""
SUBJECTS = ("job_id", "asset_id")


def connect() -> None:
    """Have django-structlog ask us."""
    bind_extra_request_metadata.connect(began, dispatch_uid="dragoman.tracing")
    bind_extra_request_finished_metadata.connect(finished, dispatch_uid="dragoman.tracing")


def trace_id(traceparent: str) -> str:
    """The caller's trace id, or a new one when there is none in its proper form: 32 hexadecimal digits."""
    found = TRACEPARENT.fullmatch(traceparent.strip())
    return found[1] if found else secrets.token_hex(16)


def began(request: HttpRequest, **_: Any) -> None:
    """Bind the trace id for all lines of this request."""
    structlog.contextvars.bind_contextvars(trace_id=trace_id(request.headers.get("traceparent", "")))
    request.began = time.monotonic()  # type: ignore[attr-defined]


def finished(request: HttpRequest, log_kwargs: dict[str, Any], **_: Any) -> None:
    """Add milliseconds, and the job or asset that the address names."""
    log_kwargs["duration_ms"] = round((time.monotonic() - getattr(request, "began", time.monotonic())) * 1000)
    named = request.resolver_match.kwargs if request.resolver_match else {}
    log_kwargs.update({name: str(named[name]) for name in SUBJECTS if name in named})
