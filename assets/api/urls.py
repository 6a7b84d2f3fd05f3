"""Addresses of assets, below /api/v1/."""

from __future__ import annotations

from django.urls import path

from assets.api import views

urlpatterns = [
    path("assets", views.AssetList.as_view(), name="assets"),
    path("assets/<uuid:asset_id>", views.AssetDetail.as_view(), name="asset"),
    path("assets/<uuid:asset_id>/content", views.AssetContent.as_view(), name="asset-content"),
]
