"""Every error of the API as an RFC 9457 problem: ``application/problem+json``.

Beside the RFC's members each has ``code`` (stable, listed in docs/errors.md), ``errors`` (``[{pointer, detail}]``,
RFC 6901 pointers into the body) and ``request_id``. What becomes of exceptions is in ``config.handlers``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import structlog
from rest_framework import exceptions

from accounts.errors import FieldError

MEDIA_TYPE = "application/problem+json"
TYPE = "urn:dragoman:problem:"


class Problem(exceptions.APIException):
    """A problem raised by a view. ``extra`` are members of its own, ``headers`` go with the answer."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        extra: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail, code)
        self.status_code = status
        self.problem_code = code
        self.text = detail
        self.errors = tuple(errors)
        self.extra = dict(extra or {})
        self.headers = dict(headers or {})


def document(
    status: int, code: str, detail: str, *, instance: str, errors: Sequence[FieldError] = (), **extra: Any
) -> dict[str, Any]:
    """The body."""
    return {
        "type": TYPE + code,
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "instance": instance,
        "code": code,
        "errors": [{"pointer": e.pointer, "detail": e.detail} for e in errors],
        "request_id": request_id(),
        **extra,
    }


def request_id() -> str | None:
    """The id that this request's log lines carry."""
    found = structlog.contextvars.get_contextvars().get("request_id")
    return str(found) if found else None
