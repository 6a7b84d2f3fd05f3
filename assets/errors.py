"""Errors of assets.

AssetError
├── UploadTooLarge      more bytes than this server takes (413)
├── AssetRejected       not media that can be worked on; the row says why (422)
└── AssetInUse          jobs need it (409)
"""

from __future__ import annotations

import uuid
from typing import ClassVar, Literal


class AssetError(Exception):
    """The asset could not be worked on."""

    code: ClassVar[str] = "asset_error"
    retryable: ClassVar[bool] = False
    audience: ClassVar[Literal["user", "operator"]] = "user"

    def __init__(self, detail: str = "") -> None:
        self.detail = detail or (type(self).__doc__ or "").strip()
        super().__init__(self.detail)


class UploadTooLarge(AssetError):
    """The file is larger than this server takes."""

    code = "upload_too_large"


class AssetRejected(AssetError):
    """The file is not media that can be worked on."""

    code = "media_refused"

    def __init__(self, detail: str, *, reason: str, asset_id: uuid.UUID) -> None:
        """``reason`` is the narrower code, such as ``no_audio``."""
        self.reason = reason
        self.asset_id = asset_id
        super().__init__(detail)


class AssetInUse(AssetError):
    """Jobs work with this asset; delete or cancel them first."""

    code = "asset_in_use"
