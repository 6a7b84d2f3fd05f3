"""Users, API keys, quotas."""

from __future__ import annotations

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Who owns work and what they may do."""

    name = "accounts"
    verbose_name = "Accounts"
