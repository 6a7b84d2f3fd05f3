"""The workshop as Django's apps see it."""

from __future__ import annotations

from django.apps import AppConfig


class MediaPipelineConfig(AppConfig):
    """Brings the system checks of stages, providers and pipelines."""

    name = "media_pipeline"
    verbose_name = "Media pipeline"

    def ready(self) -> None:
        """Register the checks."""
        from media_pipeline import checks  # noqa: F401, PLC0415  (registers them)
