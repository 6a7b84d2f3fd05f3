"""Results for single segments, kept by digest within one owner: small ones in the database, others in storage."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence

from assets import storage
from jobs.models import Piece
from jobs.services.patience import patiently

SMALL = 8 * 1024
AT_ONCE = 200


class OwnerPieces:
    """A PieceStore of one owner."""

    def __init__(self, owner_id: uuid.UUID) -> None:
        self._owner = owner_id

    def get_many(self, digests: Sequence[str]) -> dict[str, bytes]:
        """Those that are known; what storage has lost is not."""
        found: dict[str, bytes] = {}
        for at in range(0, len(digests), AT_ONCE):
            for digest, payload, key in self._rows(digests[at : at + AT_ONCE]):
                if payload is not None:
                    found[digest] = bytes(payload)
                elif storage.exists(key):
                    found[digest] = storage.read_bytes(key)
        return found

    def _rows(self, digests: Sequence[str]) -> list[tuple[str, bytes | memoryview | None, str]]:
        rows = Piece.objects.filter(owner_id=self._owner, digest__in=digests)
        return patiently(lambda: list(rows.values_list("digest", "payload", "storage_key")))

    def put_many(self, pieces: Mapping[str, bytes]) -> None:
        """Keep; keeping the same digest twice is no error."""
        rows = []
        for digest, content in pieces.items():
            key = ""
            if len(content) > SMALL:
                key = f"pieces/{self._owner}/{digest[:2]}/{digest}"
                storage.put_bytes(key, content)
            rows.append(Piece(owner_id=self._owner, digest=digest, payload=None if key else content, storage_key=key))
        patiently(lambda: Piece.objects.bulk_create(rows, ignore_conflicts=True, batch_size=AT_ONCE))
