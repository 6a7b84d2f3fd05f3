"""API keys: seen, and revoked."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from accounts.admin.base import ReadOnlyAdmin
from accounts.errors import AccountError
from accounts.models import ApiKey
from accounts.services.api_keys import api_key_revoke


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnlyAdmin):
    """Keys of programs; the secret is kept nowhere."""

    list_display = ("id", "name", "user", "scopes", "created_at", "last_used_at", "expires_at", "revoked_at")
    list_filter = ("revoked_at",)
    search_fields = ("id", "name", "user__email")
    list_select_related = ("user",)
    fields = ("id", "name", "user", "scopes", "created_at", "last_used_at", "expires_at", "revoked_at")
    actions = ("revoke",)

    @admin.action(description="Revoke for good")
    def revoke(self, request: HttpRequest, keys: QuerySet[ApiKey]) -> None:
        """Programs that use these keys are refused from now on."""
        self.each(
            request,
            keys,
            lambda key: api_key_revoke(user=key.user, key_id=key.pk),
            done="Revoked.",
            refused=AccountError,
        )
