"""Digests of single segments: what makes a piece, in one string."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from media_pipeline.providers.base import Provider


def piece_digest(verb: str, provider: Provider, **made_of: Any) -> str:
    """SHA-256 of who does what to which text, in which version and how."""
    whole = {"verb": verb, "provider": [provider.id, provider.fingerprint()], **made_of}
    return hashlib.sha256(json.dumps(whole, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
