"""Users: made and changed by admins, seen by operators."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import UserChangeForm, UserCreationForm
from django.contrib.auth.models import Group
from django.db.models import Model
from django.http import HttpRequest
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldAdminTextInputWidget

from accounts.admin.base import may_operate
from accounts.models import Role, User


def may_manage(request: HttpRequest) -> bool:
    """Whether this user may make and change users."""
    user = request.user
    return bool(getattr(user, "is_superuser", False) or getattr(user, "role", "") == Role.ADMIN)


class NewUserForm(UserCreationForm):  # type: ignore[type-arg]
    """Address, role and password."""

    class Meta:
        model = User
        fields = ("email", "role")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["email"].widget = UnfoldAdminTextInputWidget()
        for name in ("password1", "password2"):
            self.fields[name].widget = UnfoldAdminPasswordWidget()

    def clean_email(self) -> str:
        """Addresses are kept in small letters, as sign-in looks for them."""
        return str(self.cleaned_data["email"]).lower()


@admin.register(User)
class UserAdmin(DjangoUserAdmin, ModelAdmin):  # type: ignore[misc, type-arg]
    """Users."""

    form = UserChangeForm
    add_form = NewUserForm
    change_password_form = AdminPasswordChangeForm
    ordering = ("email",)
    list_display = ("email", "role", "is_active", "weight", "date_joined", "last_login")
    list_filter = ("role", "is_active")
    search_fields = ("email", "first_name", "last_name")
    readonly_fields = ("date_joined", "last_login")
    filter_horizontal = ()
    fieldsets = (
        (None, {"fields": ("email", "password", "first_name", "last_name")}),
        ("What this user may do", {"fields": ("role", "is_active", "weight")}),
        ("Dates", {"fields": ("date_joined", "last_login")}),
    )
    add_fieldsets = ((None, {"fields": ("email", "role", "password1", "password2")}),)

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Shown to operators."""
        return may_operate(request)

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Operators may look."""
        return may_operate(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Admins may add."""
        return may_manage(request)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Admins may change."""
        return may_manage(request)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody: a user's work would go with it. Take ``is_active`` away instead."""
        return False


admin.site.unregister(Group)  # rights come from roles
