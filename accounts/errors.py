"""Errors of accounts, and how all apps name a fault in a request.

AccountError
├── UnknownScope        a scope that there is not (422)
└── KeyNotFound         no such key of this user (404)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal


@dataclass(frozen=True, slots=True)
class FieldError:
    """One fault: ``pointer`` is a JSON pointer into the request's body."""

    pointer: str
    detail: str


class AccountError(Exception):
    """The account could not be worked on."""

    code: ClassVar[str] = "account_error"
    retryable: ClassVar[bool] = False
    audience: ClassVar[Literal["user", "operator"]] = "user"

    def __init__(self, detail: str = "") -> None:
        self.detail = detail or (type(self).__doc__ or "").strip()
        super().__init__(self.detail)


class UnknownScope(AccountError):
    """There is no such scope."""

    code = "unknown_scope"


class KeyNotFound(AccountError):
    """There is no such key."""

    code = "not_found"
