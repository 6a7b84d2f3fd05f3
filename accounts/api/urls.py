"""Addresses of accounts, below /api/v1/."""

from __future__ import annotations

from django.urls import path

from accounts.api import (
    openapi,  # noqa: F401  (importing it registers the ways to sign in)
    views,
)

urlpatterns = [
    path("me", views.Me.as_view(), name="me"),
    path("api-keys", views.ApiKeyList.as_view(), name="api-keys"),
    path("api-keys/<str:key_id>", views.ApiKeyDetail.as_view(), name="api-key"),
]
