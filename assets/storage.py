"""Where bytes are kept: a folder, or any S3, behind one small interface. Keys are paths with ``/``.

On a folder, files are moved in and read in place; on S3 they are sent and fetched.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

from botocore.exceptions import BotoCoreError, ClientError
from django.core.files import File
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, default_storage

from media_pipeline.errors import StorageUnavailable

FAULTS = (OSError, BotoCoreError, ClientError)
PARALLEL_TRANSFERS = 8


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
    try:
        if is_local():
            target = path_of(key)
            target.parent.mkdir(parents=True, exist_ok=True)
            if move:
                shutil.move(source, target)
            else:
                partial = target.with_name(f".{target.name}.{os.getpid()}")
                shutil.copyfile(source, partial)
                partial.replace(target)
        else:
            with source.open("rb") as stream:
                default_storage.save(key, File(stream))
    except FAULTS as error:
        raise StorageUnavailable(f"Storage did not take a file: {type(error).__name__}.") from error


def put_many(files: list[tuple[str, Path]]) -> None:
    """Move many files in, side by side where that helps."""
    if is_local() or len(files) < 2:
        for key, source in files:
            put(key, source, move=True)
        return
    with ThreadPoolExecutor(PARALLEL_TRANSFERS) as pool:
        list(pool.map(lambda pair: put(pair[0], pair[1], move=True), files))


def put_bytes(key: str, content: bytes) -> None:
    """Keep bytes under ``key``, over what was there. Raises StorageUnavailable."""
    try:
        if is_local():
            target = path_of(key)
            target.parent.mkdir(parents=True, exist_ok=True)
            partial = target.with_name(f".{target.name}.{os.getpid()}")
            partial.write_bytes(content)
            partial.replace(target)
        else:
            default_storage.save(key, ContentFile(content))
    except FAULTS as error:
        raise StorageUnavailable(f"Storage did not take a file: {type(error).__name__}.") from error


def fetch(key: str, target: Path) -> Path:
    """A local file with the content of ``key``: the file itself where storage is local, else a copy at ``target``.

    The caller must not change it. Raises StorageUnavailable.
    """
    try:
        if is_local():
            path = path_of(key)
            if not path.is_file():
                raise FileNotFoundError(key)
            return path
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".{target.name}.{os.getpid()}")
        with default_storage.open(key, "rb") as stream, partial.open("wb") as out:
            shutil.copyfileobj(stream, out, 1024 * 1024)
        partial.replace(target)
    except FAULTS as error:
        raise StorageUnavailable(f"Storage did not give a file: {type(error).__name__}.") from error
    return target


def open_key(key: str) -> IO[bytes]:
    """A readable, seekable stream. Raises StorageUnavailable."""
    try:
        return default_storage.open(key, "rb")
    except FAULTS as error:
        raise StorageUnavailable(f"Storage did not give a file: {type(error).__name__}.") from error


def read_bytes(key: str) -> bytes:
    """The whole of a small file. Raises StorageUnavailable."""
    try:
        with default_storage.open(key, "rb") as stream:
            content: bytes = stream.read()
    except FAULTS as error:
        raise StorageUnavailable(f"Storage did not give a file: {type(error).__name__}.") from error
    return content


def exists(key: str) -> bool:
    """Whether there is something under ``key``. Raises StorageUnavailable."""
    try:
        return default_storage.exists(key)
    except FAULTS as error:
        raise StorageUnavailable(f"Storage did not answer: {type(error).__name__}.") from error


def delete(key: str) -> None:
    """Remove; what is not there is no error. Raises StorageUnavailable."""
    try:
        default_storage.delete(key)
    except FAULTS as error:
        raise StorageUnavailable(f"Storage did not remove a file: {type(error).__name__}.") from error


def walk(prefix: str) -> Iterator[str]:
    """All keys below a prefix."""
    try:
        folders, files = default_storage.listdir(prefix)
    except FileNotFoundError:
        return
    for name in files:
        yield f"{prefix.rstrip('/')}/{name}"
    for folder in folders:
        if folder:
            yield from walk(f"{prefix.rstrip('/')}/{folder}")
