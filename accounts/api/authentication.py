"""Who is asking: an API key or a session."""

from __future__ import annotations

from rest_framework import authentication, exceptions
from rest_framework.request import Request

from accounts.models import ApiKey, User
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
