"""Exceptions turned into problems: those of all apps, of the framework, and Django's own pages of errors."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any

import structlog
from django.core.exceptions import PermissionDenied
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views import defaults
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

from accounts.errors import AccountError, FieldError, KeyNotFound
from config.problems import MEDIA_TYPE, Problem, document
from jobs.errors import JobConflict, JobInvalid
from media_pipeline.errors import Refused, Unavailable

log = structlog.get_logger(__name__)
RETRY_AFTER = 5
CODES = {400: "bad_request", 403: "forbidden", 404: "not_found", 500: "server_error"}


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
    return _from_below(error)


def _from_below(error: Exception) -> Problem | None:
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
        case OperationalError() | InterfaceError():
            log.error("database.away", error=type(error).__name__, exc_info=error)
            text = "The database did not answer. Try again; with an Idempotency-Key, nothing is done twice."
            return Problem(503, "database_unavailable", text, headers={"Retry-After": str(RETRY_AFTER)})
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
            known = as_problem(error) if status == 500 and isinstance(error := sys.exc_info()[1], Exception) else None
            problem = known or Problem(status, CODES[status], detail)
            body = document(problem.status_code, problem.problem_code, problem.text, instance=request.path)
            return JsonResponse(body, status=problem.status_code, headers=problem.headers, content_type=MEDIA_TYPE)
        if page is None:
            return defaults.server_error(request)
        return page(request, exception or Http404())

    return handler


bad_request = _page_or_problem(400, "The request could not be read.")
forbidden = _page_or_problem(403, "You may not do this.")
not_found = _page_or_problem(404, "There is no such address.")
server_error = _page_or_problem(500, "Something failed on the server; it is in its log under request_id.")
