"""Makes, checks and revokes API keys: ``dgm_<id>_<secret><crc>``.

``id`` (12 characters) finds the row; ``secret`` is 32 characters of [0-9A-Za-z], 190 bits; ``crc`` is the CRC-32 of all
before it in six characters, so that a mistyped key is told from a wrong one without the database, and scanners of
leaked secrets can be sure. Only the SHA-256 of the whole key is kept: a key has too many bits to be guessed, so that a
slow hash would protect nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import string
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q
from django.utils import timezone

from accounts.errors import KeyNotFound, UnknownScope
from accounts.models import ApiKey, User

ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
ID_LENGTH = 12
SECRET_LENGTH = 32
CRC_LENGTH = 6
SHAPE = re.compile(rf"dgm_([0-9A-Za-z]{{{ID_LENGTH}}})_[0-9A-Za-z]{{{SECRET_LENGTH + CRC_LENGTH}}}")
SCOPES = ("jobs:read", "jobs:write", "assets:read", "assets:write", "admin")
LAST_USE_GRAIN = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A new key; ``plain`` is shown once and kept nowhere."""

    key: ApiKey
    plain: str


def api_key_create(
    *, user: User, name: str = "", scopes: Sequence[str] = (), expires_at: datetime | None = None
) -> IssuedKey:
    """Make a key. No scopes: everything that the user may do. Raises UnknownScope naming those there are."""
    if wrong := sorted(set(scopes) - set(SCOPES)):
        raise UnknownScope(f"There is no scope {', '.join(wrong)}; there are: {', '.join(SCOPES)}.")
    id = _random(ID_LENGTH)
    body = f"dgm_{id}_{_random(SECRET_LENGTH)}"
    plain = body + _crc(body)
    key = ApiKey.objects.create(
        id=id, user=user, name=name, digest=_digest(plain), scopes=sorted(set(scopes)), expires_at=expires_at
    )
    return IssuedKey(key, plain)


def api_key_authenticate(plain: str) -> ApiKey | None:
    """The key with its user, or None when it is malformed, unknown, revoked, expired or its user is not active.

    Notes the use, at most once a minute.
    """
    shape = SHAPE.fullmatch(plain)
    if shape is None or not hmac.compare_digest(_crc(plain[:-CRC_LENGTH]), plain[-CRC_LENGTH:]):
        return None
    key = ApiKey.objects.select_related("user").filter(pk=shape[1]).first()
    if key is None or not hmac.compare_digest(key.digest, _digest(plain)):
        return None
    now = timezone.now()
    if key.revoked_at is not None or (key.expires_at is not None and key.expires_at <= now) or not key.user.is_active:
        return None
    if key.last_used_at is None or now - key.last_used_at >= LAST_USE_GRAIN:
        stale = Q(last_used_at=None) | Q(last_used_at__lte=now - LAST_USE_GRAIN)
        ApiKey.objects.filter(stale, pk=key.pk).update(last_used_at=now)
    return key


def api_key_revoke(*, user: User, key_id: str) -> None:
    """End a key of this user, at once. Revoking twice is one revocation. Raises KeyNotFound."""
    if not key_id.isalnum() or not ApiKey.objects.filter(pk=key_id, user=user).exists():
        raise KeyNotFound
    ApiKey.objects.filter(pk=key_id, user=user, revoked_at=None).update(revoked_at=timezone.now())


def _random(length: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def _digest(plain: str) -> str:
    return hashlib.sha256(plain.encode()).hexdigest()


def _crc(body: str) -> str:
    number, digits = zlib.crc32(body.encode()), ""
    for _ in range(CRC_LENGTH):
        number, digit = divmod(number, len(ALPHABET))
        digits = ALPHABET[digit] + digits
    return digits
