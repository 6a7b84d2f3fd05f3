"""Pages for people."""

from __future__ import annotations

from django.apps import AppConfig


class DashboardConfig(AppConfig):
    """Views and partials; no models."""

    name = "dashboard"
    verbose_name = "Dashboard"
