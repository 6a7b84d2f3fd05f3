"""Storage in S3 or what speaks like it: django-storages' backend, with transfers that never hold a file in memory.

One client serves all threads of a process (boto3's clients may be shared, its resources may not). What it raises are
BotoCoreError, ClientError and Boto3Error.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError
from django.utils.crypto import get_random_string
from storages.backends.s3 import S3Storage
from storages.utils import clean_name

PARALLEL = 8
PART_BYTES = 16 * 1024 * 1024
SPOOLED_BYTES = 8 * 1024 * 1024
CONNECT_SECONDS = 5
READ_SECONDS = 30
TRANSFER = TransferConfig(multipart_threshold=2 * PART_BYTES, multipart_chunksize=PART_BYTES, max_concurrency=4)


class Readable(Protocol):
    """Bytes that are read once, from their start."""

    def read(self, size: int, /) -> bytes: ...
    def close(self) -> None: ...


class S3Objects(S3Storage):  # type: ignore[misc]  # ships no types
    """A bucket, or one prefix of it (``location``)."""

    def __init__(self, *, addressing_style: str = "auto", **settings: Any) -> None:
        style: Any = {"addressing_style": addressing_style}
        config = Config(
            s3=style,
            signature_version="s3v4",
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            retries={"mode": "standard", "max_attempts": 2},
            max_pool_connections=4 * PARALLEL,
            # Checksum trailers came late to S3; many servers that speak it do not know them.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        super().__init__(
            client_config=config,
            transfer_config=TRANSFER,
            max_memory_size=SPOOLED_BYTES,
            default_acl=None,
            file_overwrite=True,
            **settings,
        )

    @cached_property
    def client(self) -> Any:
        """boto3's, for all threads."""
        return self.connection.meta.client

    def name_of(self, key: str) -> str:
        """The object's name in the bucket. Raises SuspiciousOperation on a key that leaves ``location``."""
        name: str = self._normalize_name(clean_name(key))
        return name

    def upload(self, key: str, source: Path) -> None:
        """Send a file, in parts when it is large."""
        name = self.name_of(key)
        self.client.upload_file(
            str(source), self.bucket_name, name, ExtraArgs=self._get_write_parameters(name), Config=TRANSFER
        )

    def upload_bytes(self, key: str, content: bytes) -> None:
        """Send what is in memory already."""
        name = self.name_of(key)
        self.client.put_object(Bucket=self.bucket_name, Key=name, Body=content, **self._get_write_parameters(name))

    def download(self, key: str, target: Path) -> None:
        """Fetch into a file that appears when it is whole."""
        partial = target.with_name(f".{target.name}.{get_random_string(8)}")
        try:
            self.client.download_file(self.bucket_name, self.name_of(key), str(partial), Config=TRANSFER)
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)

    def open_range(self, key: str, start: int, end: int) -> Readable:
        """The bytes from ``start`` to before ``end``; there must be some."""
        span = f"bytes={start}-{end - 1}"
        body: Readable = self.client.get_object(Bucket=self.bucket_name, Key=self.name_of(key), Range=span)["Body"]
        return body

    def download_bytes(self, key: str) -> bytes:
        """The whole of a small object."""
        with self.client.get_object(Bucket=self.bucket_name, Key=self.name_of(key))["Body"] as body:
            content: bytes = body.read()
        return content

    def size_of(self, key: str) -> int:
        """In bytes. Raises FileNotFoundError."""
        try:
            return int(self.client.head_object(Bucket=self.bucket_name, Key=self.name_of(key))["ContentLength"])
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                raise FileNotFoundError(key) from error
            raise

    def remove(self, key: str) -> None:
        """What is not there is no error."""
        self.client.delete_object(Bucket=self.bucket_name, Key=self.name_of(key))

    def keys_below(self, prefix: str) -> Iterator[str]:
        """All keys that begin with ``prefix`` and a slash."""
        place = f"{self.name_of(prefix)}/"
        cut = len(place)
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket_name, Prefix=place)
        for page in pages:
            for entry in page.get("Contents", ()):
                yield f"{prefix.rstrip('/')}/{entry['Key'][cut:]}"

    def reach(self) -> None:
        """Ask whether the bucket is there and may be used."""
        self.client.head_bucket(Bucket=self.bucket_name)
