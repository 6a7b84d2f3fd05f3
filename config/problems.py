"""Every error of the API as an RFC 9457 problem: ``application/problem+json``.

Beside the RFC's members each has ``code`` (stable, listed in docs/errors.md), ``errors`` (``[{pointer, detail}]``,
RFC 6901 pointers into the body) and ``request_id``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import structlog
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views import defaults
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

from accounts.errors import AccountError, KeyNotFound
from jobs.errors import FieldError, JobConflict, JobError, JobInvalid
from media_pipeline.errors import PipelineError, Refused, Unavailable

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER = 5
TYPE = "urn:dragoman:problem:"
CODES = {400: "bad_request", 403: "forbidden", 404: "not_found", 500: "server_error"}
log = structlog.get_logger(__name__)


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


def exception_handler(error: Exception, context: Mapping[str, Any]) -> Response | None:
    """DRF's hook. None for what is no answer but a fault: Django logs it and answers with ``server_error``."""
    problem = as_problem(error)
    if problem is None:
        return None
    set_rollback()
    path = context["request"].path
    body = document(
        problem.status_code, problem.problem_code, problem.text, instance=path, errors=problem.errors, **problem.extra
    )
    return Response(body, status=problem.status_code, headers=problem.headers, content_type=MEDIA_TYPE)


def as_problem(error: Exception) -> Problem | None:
    """The problem that an exception stands for."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, Http404):
        return Problem(404, "not_found", "There is no such object.")
    if isinstance(error, PermissionDenied):
        return Problem(403, "forbidden", "You may not do this.")
    if isinstance(error, exceptions.APIException):
        return _from_framework(error)
    if isinstance(error, JobError | AccountError | PipelineError):
        return _from_ours(error)
    return None


def _from_ours(error: JobError | AccountError | PipelineError) -> Problem | None:
    match error:
        case JobInvalid() | JobConflict():
            return Problem(422 if isinstance(error, JobInvalid) else 409, error.code, error.detail, errors=error.errors)
        case AccountError():
            return Problem(404 if isinstance(error, KeyNotFound) else 422, error.code, error.detail)
        case Refused():
            return Problem(422, error.specific_code, error.detail)
        case Unavailable():
            wait = str(int(error.retry_after or RETRY_AFTER))
            return Problem(503, error.specific_code, error.detail, headers={"Retry-After": wait})
    return None


def _from_framework(error: exceptions.APIException) -> Problem:
    headers: dict[str, str] = {}
    if (challenge := getattr(error, "auth_header", None)) is not None:
        headers["WWW-Authenticate"] = challenge
    if (wait := getattr(error, "wait", None)) is not None:
        headers["Retry-After"] = str(int(wait) + 1)
    if isinstance(error, exceptions.ValidationError):
        return Problem(422, "invalid", "Some fields are not valid.", errors=tuple(_flatten(error.detail, "")))
    code = {"parse_error": "malformed_body", "not_authenticated": "not_authenticated"}.get(
        error.default_code, error.get_codes() if isinstance(error.get_codes(), str) else error.default_code
    )
    code = {"permission_denied": "forbidden"}.get(str(code), str(code))
    return Problem(error.status_code, code, str(error.detail), headers=headers)


def _flatten(detail: Any, pointer: str) -> Iterator[FieldError]:
    if isinstance(detail, Mapping):
        for name, inner in detail.items():
            escaped = str(name).replace("~", "~0").replace("/", "~1")
            yield from _flatten(inner, pointer if name == "non_field_errors" else f"{pointer}/{escaped}")
    elif isinstance(detail, list):
        for index, inner in enumerate(detail):
            nested = isinstance(inner, Mapping | list)
            yield from _flatten(inner, f"{pointer}/{index}" if nested else pointer)
    elif detail:
        yield FieldError(pointer, str(detail))


def _page_or_problem(status: int, detail: str) -> Any:
    page = {400: defaults.bad_request, 403: defaults.permission_denied, 404: defaults.page_not_found}.get(status)

    def handler(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
        if request.path.startswith(("/api/", "/media/")):
            body = document(status, CODES[status], detail, instance=request.path)
            return JsonResponse(body, status=status, content_type=MEDIA_TYPE)
        if page is None:
            return defaults.server_error(request)
        return page(request, exception or Http404())

    return handler


bad_request = _page_or_problem(400, "The request could not be read.")
forbidden = _page_or_problem(403, "You may not do this.")
not_found = _page_or_problem(404, "There is no such address.")
server_error = _page_or_problem(500, "Something failed on the server; it is in its log under request_id.")
