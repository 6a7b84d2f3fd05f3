"""Users and API keys in the admin."""

from accounts.admin.api_keys import ApiKeyAdmin
from accounts.admin.users import UserAdmin

__all__ = ["ApiKeyAdmin", "UserAdmin"]
