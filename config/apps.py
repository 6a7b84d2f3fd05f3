"""The admin site: for operators, whatever else their account says."""

from __future__ import annotations

from django.contrib.admin.apps import AdminConfig
from django.http import HttpRequest
from unfold.sites import UnfoldAdminSite

from config import tracing


class OperatorsSite(UnfoldAdminSite):  # type: ignore[misc]
    """Lets operators and admins in."""

    def has_permission(self, request: HttpRequest) -> bool:
        """Whether this user may use the admin at all."""
        return request.user.is_active and bool(getattr(request.user, "is_operator", False))


class OperatorsAdmin(AdminConfig):
    """Makes that site the default one."""

    default_site = "config.apps.OperatorsSite"

    def ready(self) -> None:
        """Also the place where what is config's own is set going."""
        super().ready()
        tracing.connect()
