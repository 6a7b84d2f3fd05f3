"""What all pages of the admin share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from django.contrib import messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin, TabularInline


def may_operate(request: HttpRequest) -> bool:
    """Whether this user runs the server."""
    return bool(getattr(request.user, "is_operator", False))


class ReadOnly:
    """State that only services write: operators look at it and act through actions."""

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Shown to operators."""
        return may_operate(request)

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Operators may look."""
        return may_operate(request)

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody adds."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody edits."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody deletes."""
        return False


class ReadOnlyAdmin(ReadOnly, ModelAdmin):  # type: ignore[misc]
    """A read-only page. Tables may be large: no counting of all rows."""

    show_full_result_count = False
    list_per_page = 50

    def each(
        self,
        request: HttpRequest,
        rows: QuerySet[Any],
        act: Callable[[Any], object],
        *,
        done: str,
        refused: type[Exception],
    ) -> None:
        """Act on every row, keep an audit entry for each, and tell what was done and what could not be."""
        count = 0
        for row in rows:
            try:
                act(row)
            except refused as error:
                self.message_user(request, f"{row}: {error}", messages.ERROR)
                continue
            self.log_change(request, row, done)
            count += 1
        if count:
            self.message_user(request, f"{done} ({count})", messages.SUCCESS)


class ReadOnlyInline(ReadOnly, TabularInline):  # type: ignore[misc]
    """Rows of another table on the page of the one that they belong to."""

    extra = 0
    can_delete = False
    show_change_link = True

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> Sequence[str]:
        """All that is shown."""
        return tuple(self.fields or ())
