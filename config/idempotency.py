"""``Idempotency-Key``: a POST that is sent twice makes one thing.

The first answer is kept for 24 hours and given again with ``Idempotency-Replayed: true``. While the first request is in
flight a second one gets 409; the same key with another body gets 422. Refusals and faults are not kept: they made
nothing. Follows draft-ietf-httpapi-idempotency-key-header.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.errors import FieldError
from accounts.models import IdempotencyRecord, User
from config.problems import Problem

KEPT = timedelta(hours=24)
ABANDONED = timedelta(minutes=10)
LONGEST = 255
HEADERS = ("Location",)

View = Callable[..., Response]


def idempotent(method: View) -> View:
    """Wrap a ``post`` of an APIView."""

    @functools.wraps(method)
    def post(self: Any, request: Request, *args: Any, **kwargs: Any) -> Response:
        key = request.headers.get("Idempotency-Key", "").strip()
        if not key:
            return method(self, request, *args, **kwargs)
        if len(key) > LONGEST:
            raise Problem(
                400, "invalid_idempotency_key", f"Idempotency-Key is longer than {LONGEST} characters.", errors=[]
            )
        record, mine = _begin(request, key)
        if not mine:
            return _again(record)
        try:
            response = method(self, request, *args, **kwargs)
        except BaseException:
            record.delete()
            raise
        _keep(record, response)
        return response

    return post


def _begin(request: Request, key: str) -> tuple[IdempotencyRecord, bool]:
    """The record, and whether this request is the first. Raises Problem 409 and 422."""
    assert isinstance(request.user, User)  # noqa: S101  (permissions were checked before)
    now = timezone.now()
    found = fingerprint(request)
    of_user = IdempotencyRecord.objects.filter(user=request.user)
    of_user.filter(created_at__lt=now - KEPT).delete()
    of_user.filter(key=key, path=request.path, status=None, created_at__lt=now - ABANDONED).delete()
    try:
        with transaction.atomic():
            return IdempotencyRecord.objects.create(
                user=request.user, key=key, path=request.path, fingerprint=found
            ), True
    except IntegrityError:
        record = of_user.filter(key=key, path=request.path).first()
    if record is not None and record.fingerprint != found:
        detail = "This Idempotency-Key was used with another body."
        raise Problem(422, "idempotency_key_reused", detail, errors=[FieldError("", detail)])
    if record is None or record.status is None:
        raise Problem(
            409, "in_flight", "The first request with this Idempotency-Key is in flight.", headers={"Retry-After": "1"}
        )
    return record, False


def fingerprint(request: Request) -> str:
    """SHA-256 over the parsed body, so that white space and the boundary of a form do not matter."""
    data = request.data
    files = request.FILES
    fields: Any = {name: data[name] for name in data if name not in files} if isinstance(data, dict) else data
    made = hashlib.sha256(json.dumps(fields, sort_keys=True, default=str).encode())
    for name in sorted(files):
        for file in files.getlist(name):
            known = getattr(file, "sha256", "")
            made.update(f"\0{name}\0{file.name}\0{file.size}\0{known}".encode())
    return made.hexdigest()


def _keep(record: IdempotencyRecord, response: Response) -> None:
    record.status = response.status_code
    record.body = json.loads(JSONRenderer().render(response.data))
    record.headers = {name: response[name] for name in HEADERS if response.has_header(name)}
    record.save(update_fields=["status", "body", "headers"])


def _again(record: IdempotencyRecord) -> Response:
    return Response(record.body, status=record.status, headers={**record.headers, "Idempotency-Replayed": "true"})
