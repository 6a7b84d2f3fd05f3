"""Structured logs: one JSON object a line, with the fields that ``docs/logging.md`` names."""

from __future__ import annotations

import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

SECRETS = re.compile(
    r"(Api-Key|Bearer|Basic)\s+\S+|dgm_[A-Za-z0-9_]+|/media/v/[^/\s]+|\bticket=[^&\s\"]+|X-Amz-[A-Za-z]+=[^&\s]+"
    r"|(?<=://)[^/\s@\"']*:[^/\s@\"']+(?=@)"  # name and password in a URL
)


def redact(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Take keys, passwords and signed addresses out of every text, however deep it lies."""
    for name, value in event.items():
        if not name.startswith("_"):  # structlog's own
            event[name] = _clean(value)
    return event


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return SECRETS.sub("[redacted]", value)
    if isinstance(value, dict):
        return {name: _clean(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(inner) for inner in value]
    return value


TRACEBACKS = structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False))
"""Without local variables: they hold keys, signed addresses and transcripts."""

SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.ExtraAdder(),
    structlog.processors.TimeStamper(fmt="iso", utc=True, key="timestamp"),
    TRACEBACKS,
    redact,
]


def configure_structlog() -> None:
    """Route structlog through the standard library, so that libraries' lines look the same as ours."""
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *SHARED,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def json_formatter() -> structlog.stdlib.ProcessorFormatter:
    """One JSON object a line, whatever the console shows."""
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=SHARED,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, structlog.processors.JSONRenderer()],
    )


def logging_config(*, level: str, console: bool) -> dict[str, Any]:
    """The dictConfig. ``console`` gives colours for a person instead of JSON."""
    configure_structlog()
    renderer: Any = structlog.dev.ConsoleRenderer() if console else structlog.processors.JSONRenderer()
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "structured": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": SHARED,
                "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
            },
        },
        "handlers": {
            "stderr": {"class": "logging.StreamHandler", "stream": sys.stderr, "formatter": "structured"},
        },
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            "uvicorn.access": {"level": "WARNING"},
            "rq.worker": {"level": "WARNING"},
            "botocore": {"level": "WARNING"},
            "django.request": {"level": "ERROR"},
        },
    }
