"""What users and keys look like from outside."""

from __future__ import annotations

from rest_framework import serializers

from accounts.models import Role
from accounts.services.api_keys import SCOPES


class UserSchema(serializers.Serializer[None]):
    """Who is signed in. ``scopes`` of the key that was used; empty: all that the role may do."""

    id = serializers.UUIDField()
    email = serializers.EmailField()
    role = serializers.ChoiceField(Role.choices)
    is_operator = serializers.BooleanField()
    scopes = serializers.ListField(child=serializers.CharField())
    created_at = serializers.DateTimeField()


class ApiKeySchema(serializers.Serializer[None]):
    """A key, without its secret."""

    id = serializers.CharField()
    name = serializers.CharField()
    scopes = serializers.ListField(child=serializers.CharField())
    expires_at = serializers.DateTimeField(allow_null=True)
    last_used_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()


class NewApiKeySchema(ApiKeySchema):
    """A new key; ``key`` is shown this once."""

    key = serializers.CharField()


class ApiKeyCreate(serializers.Serializer[None]):
    """No scopes: everything that the user may do."""

    name = serializers.CharField(max_length=100, allow_blank=True, default="")
    scopes = serializers.ListField(child=serializers.ChoiceField(SCOPES), default=list)
    expires_at = serializers.DateTimeField(allow_null=True, default=None)
