"""Users, API keys, answers that are kept for requests sent twice."""

from accounts.models.api_key import ApiKey
from accounts.models.idempotency import IdempotencyRecord
from accounts.models.user import Role, User

__all__ = ["ApiKey", "IdempotencyRecord", "Role", "User"]
