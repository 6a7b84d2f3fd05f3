"""Who is asking: an API key or a session."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework import authentication, exceptions
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.models import ApiKey, Role, User
from accounts.services.api_keys import api_key_authenticate

KEYWORD = "api-key"


class ApiKeyAuthentication(authentication.BaseAuthentication):
    """``Authorization: Api-Key dgm_…``. First in the list, so that its challenge makes refusals 401."""

    def authenticate(self, request: Request) -> tuple[User, ApiKey] | None:
        keyword, _, plain = request.headers.get("Authorization", "").partition(" ")
        if keyword.lower() != KEYWORD:
            return None
        key = api_key_authenticate(plain.strip())
        if key is None:
            raise exceptions.AuthenticationFailed("The API key is not valid.", code="invalid_api_key")
        return key.user, key

    def authenticate_header(self, request: Request) -> str:
        return "Api-Key"


class SessionAuthentication(authentication.SessionAuthentication):
    """The page's session; unsafe methods need the CSRF token."""

    def authenticate_header(self, request: Request) -> str:
        return "Api-Key"


class MayAct(BasePermission):
    """Viewers may only read; a key with scopes may do only what these name.

    A view names the resource with ``scope_resource`` ("jobs", "assets", "" for what every key may do).
    """

    def has_permission(self, request: Request, view: APIView) -> bool:
        user, key = request.user, request.auth
        if not isinstance(user, User):
            return False
        reads = request.method in SAFE_METHODS or getattr(view, "only_reads", False)
        if not reads and user.role == Role.VIEWER and not user.is_superuser:
            return False
        if not isinstance(key, ApiKey) or not key.scopes or "admin" in key.scopes:
            return True
        resource = getattr(view, "scope_resource", "")
        if not resource:
            return reads
        return f"{resource}:write" in key.scopes or (reads and f"{resource}:read" in key.scopes)


class ApiKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the schema shows API keys."""

    target_class = ApiKeyAuthentication
    name = "ApiKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {
            "type": "apiKey",
            "in": "header",
            "name": "Authorization",
            "description": "`Api-Key dgm_…`, made by `manage.py create_api_key` or `POST /api/v1/api-keys`.",
        }


class SessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the schema shows sessions."""

    target_class = SessionAuthentication
    name = "Session"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "apiKey", "in": "cookie", "name": "sessionid"}
