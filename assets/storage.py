"""Where bytes are kept: a folder, or any S3, behind one small interface. Keys are paths with ``/``.

On a folder, files are moved in and read in place; on S3 they are sent and fetched.
"""

from __future__ import annotations

import os
import shutil
import stat
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError
from django.core.files.storage import FileSystemStorage, default_storage

from assets.objects import PARALLEL, Readable, S3Objects
from media_pipeline.errors import StorageUnavailable

FAULTS = (OSError, BotoCoreError, ClientError, Boto3Error)


def is_local() -> bool:
    """Whether keys are files on this machine."""
    return isinstance(default_storage, FileSystemStorage)


def path_of(key: str) -> Path:
    """The file behind a key; only where storage is local."""
    return Path(default_storage.path(key))


def put(key: str, source: Path, *, move: bool = False) -> None:
    """Keep the file under ``key``. ``move`` gives up ``source``, which costs nothing on the same disk.

    Raises StorageUnavailable.
    """
    with _told("did not take a file"):
        if not is_local():
            _bucket().upload(key, source)
        elif move:
            shutil.move(source, _place(key))
        else:
            target = _place(key)
            partial = _beside(target)
            shutil.copyfile(source, partial)
            partial.replace(target)


def put_many(files: list[tuple[str, Path]]) -> None:
    """Move many files in, side by side where that helps."""
    if is_local() or len(files) < 2:
        for key, source in files:
            put(key, source, move=True)
        return
    with ThreadPoolExecutor(PARALLEL) as pool:
        list(pool.map(lambda pair: put(pair[0], pair[1], move=True), files))


def put_bytes(key: str, content: bytes) -> None:
    """Keep bytes under ``key``, over what was there. Raises StorageUnavailable."""
    with _told("did not take a file"):
        if not is_local():
            _bucket().upload_bytes(key, content)
            return
        target = _place(key)
        partial = _beside(target)
        partial.write_bytes(content)
        partial.replace(target)


def fetch(key: str, target: Path) -> Path:
    """A local file with the content of ``key``: the file itself where storage is local, else a copy at ``target``.

    ``target`` names the content (by its digest): a copy that is there already is taken as it is. The caller must not
    change it. Raises StorageUnavailable.
    """
    with _told("did not give a file"):
        if is_local():
            path = path_of(key)
            if not path.is_file():
                raise FileNotFoundError(key)
            return path
        if target.exists():
            os.utime(target)  # what is in use is not swept away
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            _bucket().download(key, target)
    return target


def open_key(key: str) -> IO[bytes]:
    """A readable, seekable stream. Raises StorageUnavailable."""
    with _told("did not give a file"):
        stream: IO[bytes] = default_storage.open(key, "rb")
    return stream


def open_range(key: str, start: int, end: int) -> Readable:
    """The bytes from ``start`` to before ``end``, to be read once and closed; on S3 no others are fetched.

    Raises StorageUnavailable. The stream may end early: the caller counts.
    """
    with _told("did not give a file"):
        if not is_local():
            return _bucket().open_range(key, start, end)
        stream = path_of(key).open("rb")
        stream.seek(start)
    return stream


def read_bytes(key: str) -> bytes:
    """The whole of a small file. Raises StorageUnavailable."""
    with _told("did not give a file"):
        return path_of(key).read_bytes() if is_local() else _bucket().download_bytes(key)


def size(key: str) -> int | None:
    """In bytes; None when there is nothing under ``key``. Raises StorageUnavailable."""
    with _told("did not answer"):
        try:
            if not is_local():
                return _bucket().size_of(key)
            found = path_of(key).stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        return found.st_size if stat.S_ISREG(found.st_mode) else None


def exists(key: str) -> bool:
    """Whether there is something under ``key``. Raises StorageUnavailable."""
    with _told("did not answer"):
        return default_storage.exists(key)


def delete(key: str) -> None:
    """Remove; what is not there is no error. Raises StorageUnavailable."""
    with _told("did not remove a file"):
        if is_local():
            default_storage.delete(key)
        else:
            _bucket().remove(key)


def walk(prefix: str) -> Iterator[str]:
    """All keys below a prefix. Raises StorageUnavailable."""
    with _told("did not answer"):
        if not is_local():
            yield from _bucket().keys_below(prefix)
            return
        top = path_of(prefix)
        for folder, _, names in os.walk(top):
            below = Path(folder).relative_to(top).as_posix()
            inner = "" if below == "." else f"{below}/"
            for name in names:
                yield f"{prefix.rstrip('/')}/{inner}{name}"


def reach() -> None:
    """Ask whether storage is there. Raises StorageUnavailable."""
    with _told("did not answer"):
        if is_local():
            place = path_of("")
            place.mkdir(parents=True, exist_ok=True)
            if not os.access(place, os.W_OK):
                raise PermissionError(place)
        else:
            _bucket().reach()


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Say storage's faults as our own."""
    try:
        yield
    except FAULTS as error:
        raise StorageUnavailable(f"Storage {what}: {_reason(error)}.") from error


def _reason(error: Exception) -> str:
    """The class, and of an answer of S3 its code and status."""
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", "")
        return f"{error.response.get('Error', {}).get('Code', '')} {status}".strip()
    return type(error).__name__


def _bucket() -> S3Objects:
    return cast(S3Objects, default_storage)


def _place(key: str) -> Path:
    target = path_of(key)
    target.parent.mkdir(parents=True, exist_ok=True)
    return target


def _beside(target: Path) -> Path:
    """A name in the same folder, so that the file appears at once when it is renamed."""
    return target.with_name(f".{target.name}.{uuid.uuid4().hex[:12]}")
