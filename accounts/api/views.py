"""Keys and the signed-in user over HTTP."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.schemas import ApiKeyCreate, ApiKeySchema, NewApiKeySchema, UserSchema
from accounts.models import ApiKey
from accounts.services.api_keys import api_key_create, api_key_revoke
from config.api import ApiView, listed, problems
from config.pages import KeysetPages
from config.problems import Problem


class Me(ApiView):
    """Who is signed in."""

    @extend_schema(operation_id="me_get", tags=["account"], responses={200: UserSchema, **problems(401)})
    def get(self, request: Request) -> Response:
        """The user, and what the key that was used may do."""
        user, key = self.user, request.auth
        return Response(
            {
                "id": str(user.pk),
                "email": user.email,
                "role": user.role,
                "is_operator": user.is_operator,
                "scopes": key.scopes if isinstance(key, ApiKey) else [],
                "created_at": user.date_joined,
            }
        )


class ApiKeyList(ApiView):
    """A user's keys."""

    pagination_class = KeysetPages
    orderings = ("-created_at", "created_at")

    @extend_schema(
        operation_id="api_keys_list",
        tags=["account"],
        responses={200: listed("ApiKeyPage", ApiKeySchema), **problems(401, 422)},
    )
    def get(self, request: Request) -> Response:
        """Keys that are not revoked, newest first."""
        return self.page(
            ApiKey.objects.filter(user=self.user, revoked_at=None), lambda rows: [_key_json(row) for row in rows]
        )

    @extend_schema(
        operation_id="api_keys_create",
        tags=["account"],
        request=ApiKeyCreate,
        responses={201: NewApiKeySchema, **problems(400, 401, 403, 422)},
    )
    def post(self, request: Request) -> Response:
        """Make a key. A key with scopes makes none: it could give itself more."""
        body = ApiKeyCreate(data=request.data)
        body.is_valid(raise_exception=True)
        if isinstance(request.auth, ApiKey) and request.auth.scopes and "admin" not in request.auth.scopes:
            raise Problem(403, "forbidden", "A key with scopes may not make keys.")
        made = api_key_create(user=self.user, **body.validated_data)
        return Response(
            {**_key_json(made.key), "key": made.plain},
            status=201,
            headers={"Location": f"/api/v1/api-keys/{made.key.pk}", "Cache-Control": "no-store"},
        )


class ApiKeyDetail(ApiView):
    """One key."""

    @extend_schema(
        operation_id="api_keys_revoke",
        tags=["account"],
        request=None,
        responses={204: None, **problems(401, 403, 404)},
    )
    def delete(self, request: Request, key_id: str) -> Response:
        """Revoke the key, at once."""
        api_key_revoke(user=self.user, key_id=key_id)
        return Response(status=204)


def _key_json(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.pk,
        "name": key.name,
        "scopes": key.scopes,
        "expires_at": key.expires_at,
        "last_used_at": key.last_used_at,
        "created_at": key.created_at,
    }
