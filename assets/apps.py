"""Media that came in or went out."""

from __future__ import annotations

from django.apps import AppConfig


class AssetsConfig(AppConfig):
    """Uploads, probing, storage and delivery."""

    name = "assets"
    verbose_name = "Assets"
