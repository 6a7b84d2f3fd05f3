"""Signed delivery: players fetch playlists and segments with no key but the address."""

from __future__ import annotations

import time

from django.http import HttpRequest, JsonResponse
from django.http.response import HttpResponseBase
from django.views.decorators.http import require_safe

from assets import delivery
from config import problems
from media_pipeline.errors import StorageUnavailable


@require_safe
def signed_media(request: HttpRequest, token: str, path: str) -> HttpResponseBase:
    """The file, if the signature holds: 403 when not, 404 when there is none."""
    key = delivery.verify(token, path)
    if key is None:
        return _problem(request, 403, "bad_signature", "This address is not signed, or not any more.")
    left = max(0, int(token.split(".")[1]) - int(time.time()))
    try:
        return delivery.send(request, key, media_type=delivery.media_type_of(key), max_age=min(left, 3600))
    except FileNotFoundError:
        return _problem(request, 404, "not_found", "There is no such file.")
    except StorageUnavailable as error:
        return _problem(request, 503, error.code, error.detail)


def _problem(request: HttpRequest, status: int, code: str, detail: str) -> JsonResponse:
    body = problems.document(status, code, detail, instance="/media/v/")
    return JsonResponse(body, status=status, content_type=problems.MEDIA_TYPE)
