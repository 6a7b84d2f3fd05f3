"""Jobs and the engine that runs them."""

from __future__ import annotations

from django.apps import AppConfig


class JobsConfig(AppConfig):
    """Planning, dispatch, execution, recovery and live progress."""

    name = "jobs"
    verbose_name = "Jobs"
