"""Headers that every answer carries."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from django.http import HttpRequest, HttpResponse

DIRECTIVES = {
    "default-src": "'self'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data: blob:",
    "media-src": "'self' blob:",
    "connect-src": "'self' ws: wss:",
    "worker-src": "'self' blob:",
    "font-src": "'self' data:",
    "object-src": "'none'",
    "base-uri": "'self'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
}
WIDER: Mapping[str, Mapping[str, str]] = {
    # The admin's Alpine expressions are evaluated as text, and its colours are a style element.
    "/admin/": {"script-src": "'self' 'unsafe-eval'", "style-src": "'self' 'unsafe-inline'"},
    # Swagger UI sets style attributes.
    "/api/docs": {"style-src": "'self' 'unsafe-inline'"},
}


def policy(path: str) -> str:
    """The Content-Security-Policy of a page."""
    more = next((extra for start, extra in WIDER.items() if path.startswith(start)), {})
    return "; ".join(f"{name} {value}" for name, value in {**DIRECTIVES, **more}.items())


class ContentSecurityPolicy:
    """Sets the policy on answers that do not bring their own."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response.headers.setdefault("Content-Security-Policy", policy(request.path))
        return response
