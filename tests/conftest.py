"""What all tests share: a Redis, a folder and a database of their own, each per process of the test run.

All of it must stand before Django reads its settings, so it is made when this file is imported. ``DATABASE_URL`` in the
environment points the run to PostgreSQL; SQLite otherwise, in a file, so that threads and processes can share it.
"""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import django
import pytest
import redis
from django.conf import settings

from tests.die import die_with_parent

HOME = Path(tempfile.mkdtemp(prefix="dragoman-test-"))


def start_redis(home: Path) -> tuple[subprocess.Popen[bytes], str]:
    """A real redis-server on a Unix socket below ``home``, answering; and its URL."""
    home.mkdir(parents=True, exist_ok=True)
    socket = home / "redis.sock"
    server = subprocess.Popen(
        ["redis-server", "--port", "0", "--unixsocket", socket, "--save", "", "--appendonly", "no", "--dir", home],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=die_with_parent,  # noqa: PLW1509  (nothing but one system call)
    )
    url = f"unix://{socket}?db=0"
    until = time.monotonic() + 10
    while True:
        try:
            with redis.Redis.from_url(url) as client:
                client.ping()
            return server, url
        except redis.ConnectionError:
            if time.monotonic() > until or server.poll() is not None:
                raise
            time.sleep(0.02)


def _prepare() -> None:
    if settings.configured:
        pytest.exit("Unset DJANGO_SETTINGS_MODULE: the tests bring their own environment.", 4)
    server, url = start_redis(HOME)

    def tidy() -> None:
        server.terminate()
        server.wait(10)
        shutil.rmtree(HOME, ignore_errors=True)

    atexit.register(tidy)
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "DRAGOMAN_VAR": str(HOME / "var"),
        "REDIS_URL": url,
        "DRAGOMAN_PLUGINS": "tests.jobs.engine.stages",
        "SECRET_KEY": "tests-need-a-key-that-is-longer-than-thirty-two",
        "ALLOWED_HOSTS": "localhost,127.0.0.1,testserver",
        "DRAGOMAN_LOG_LEVEL": os.environ.get("DRAGOMAN_LOG_LEVEL", "WARNING"),
    }
    django.setup()
    from django.db import connection  # noqa: PLC0415  (only now are there settings)

    if connection.vendor == "sqlite":
        connection.settings_dict["TEST"]["NAME"] = str(HOME / "var" / "test.sqlite3")


_prepare()
pytest_plugins = ("tests.factories",)


def pytest_configure(config: pytest.Config) -> None:
    """Workers of a parallel run must not read settings before they have surroundings of their own."""
    if getattr(config.option, "numprocesses", None):
        os.environ.pop("DJANGO_SETTINGS_MODULE", None)


@pytest.fixture(autouse=True)
def _clean_redis() -> Iterator[None]:
    """Every test starts with an empty Redis."""
    with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
        client.flushall()
    yield


@pytest.fixture
def process_env(transactional_db: None) -> dict[str, str]:
    """The environment of a process that is to work on this test's database, Redis and folder."""
    from django.db import connection  # noqa: PLC0415

    found = connection.settings_dict
    if connection.vendor == "sqlite":
        url = f"sqlite:///{found['NAME']}"
    else:
        host = quote(found["HOST"] or "localhost", safe="")
        secret = f":{quote(found['PASSWORD'])}" if found["PASSWORD"] else ""
        url = f"postgres://{found['USER']}{secret}@{host}:{found['PORT'] or 5432}/{found['NAME']}"
    return os.environ | {"DATABASE_URL": url}


@pytest.fixture
def make_user(db: None) -> Callable[..., Any]:
    """``make_user(email="…", **fields)``: a member with the password "correct horse"."""
    from accounts.models import User  # noqa: PLC0415

    count = iter(range(1, 10_000))

    def make(email: str = "", **fields: Any) -> User:
        return User.objects.create_user(email or f"user{next(count)}@example.com", "correct horse", **fields)

    return make


@pytest.fixture
def user(make_user: Callable[..., Any]) -> Any:
    """A member."""
    return make_user()


@pytest.fixture
def operator(make_user: Callable[..., Any]) -> Any:
    """An operator."""
    return make_user(role="operator")
