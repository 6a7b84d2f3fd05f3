"""Receives a file of a form straight to disk, with its SHA-256 made on the way."""

from __future__ import annotations

import hashlib
from typing import Any

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import TemporaryFileUploadHandler

from assets.errors import UploadTooLarge


class HashingUploadHandler(TemporaryFileUploadHandler):
    """Whatever its size a file goes to disk; the finished one has a ``sha256``. Raises UploadTooLarge."""

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        super().new_file(*args, **kwargs)
        self._digest = hashlib.sha256()
        self._received = 0

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        self._received += len(raw_data)
        if self._received > settings.DRAGOMAN["MAX_UPLOAD_BYTES"]:
            raise UploadTooLarge(f"This server takes files up to {settings.DRAGOMAN['MAX_UPLOAD_BYTES']} bytes.")
        self._digest.update(raw_data)
        super().receive_data_chunk(raw_data, start)

    def file_complete(self, file_size: int) -> UploadedFile[Any] | None:
        done = super().file_complete(file_size)
        if done is not None:
            done.sha256 = self._digest.hexdigest()  # type: ignore[attr-defined]
        return done
