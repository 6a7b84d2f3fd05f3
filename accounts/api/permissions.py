"""What a user, and the key that was used, may do."""

from __future__ import annotations

from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.models import ApiKey, User


class MayAct(BasePermission):
    """Viewers may only read; a key with scopes may do only what these name.

    A view names the resource with ``scope_resource`` ("jobs", "assets", "" for what every key may do).
    """

    def has_permission(self, request: Request, view: APIView) -> bool:
        user, key = request.user, request.auth
        if not isinstance(user, User):
            return False
        reads = request.method in SAFE_METHODS or getattr(view, "only_reads", False)
        if not reads and not user.may_write:
            return False
        if not isinstance(key, ApiKey) or not key.scopes or "admin" in key.scopes:
            return True
        resource = getattr(view, "scope_resource", "")
        if not resource:
            return reads
        return f"{resource}:write" in key.scopes or (reads and f"{resource}:read" in key.scopes)
