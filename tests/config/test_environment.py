"""What is read from the environment, and how wrong values are told."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from config import environment

ROOT = Path(__file__).parents[2]
KEY = "0123456789-of-no-meaning-at-all-0123456789"
POSTGRES = "postgres://u:hunter2@db/dragoman"


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing is set but the folder."""
    for name in list(os.environ):
        if name.startswith("DRAGOMAN_") or name in {"SECRET_KEY", "DATABASE_URL", "REDIS_URL", "STORAGE_URL", "PORT"}:
            monkeypatch.delenv(name)
    monkeypatch.setenv("DRAGOMAN_VAR", str(tmp_path / "var"))


def test_one_machine_needs_no_settings(tmp_path: Path) -> None:
    env = environment.load()
    assert env.embedded
    assert env.database["NAME"] == str(tmp_path / "var" / "dragoman.sqlite3")
    assert env.storage["OPTIONS"]["location"] == str(tmp_path / "var" / "storage")
    assert len(env.secret_key) >= environment.MINIMUM_SECRET
    assert environment.load().secret_key == env.secret_key
    assert (tmp_path / "var" / "secret_key").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    "given",
    [
        {"DEBUG": "0"},
        {"DATABASE_URL": POSTGRES},
        {"SECRET_KEY": "change-me"},
        {"SECRET_KEY": "short"},
        {"SECRET_KEY": "k" * 40},
        {"SECRET_KEY": "change-me", "DATABASE_URL": POSTGRES},
        {"SECRET_KEY": "django-insecure-" + "x" * 40, "DATABASE_URL": POSTGRES},
    ],
)
def test_it_does_not_start_on_a_default_secret(given: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ImproperlyConfigured, match="SECRET_KEY"):
        environment.load()


def test_every_variable_may_be_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in (("SECRET_KEY", KEY), ("DATABASE_URL", POSTGRES), ("DRAGOMAN_LEASE_SECONDS", "30")):
        (tmp_path / name).write_text(value + "\n")
        monkeypatch.setenv(f"{name}_FILE", str(tmp_path / name))
    env = environment.load()
    assert env.secret_key == KEY
    assert env.database["HOST"] == "db"
    assert env.lease_seconds == 30
    assert env.secure_cookies
    monkeypatch.setenv("REDIS_URL_FILE", str(tmp_path / "none"))
    with pytest.raises(ImproperlyConfigured, match=r"REDIS_URL_FILE names .*none, which cannot be read: No such file"):
        environment.load()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "nonsense"),
        ("DATABASE_URL", "mysql://a/b"),
        ("DATABASE_URL", "postgres://u:hunter2@h:port/db"),
        ("DATABASE_URL", "postgres://u:hunter2@h"),
        ("DATABASE_URL", "sqlite://:memory:"),
        ("REDIS_URL", "localhost:6379"),
        ("REDIS_URL", "redis://"),
        ("REDIS_URL", "redis://:hunter2@h:port/0"),
        ("REDIS_URL", "http://h"),
        ("STORAGE_URL", "media"),
        ("STORAGE_URL", "file://media/x"),
        ("STORAGE_URL", "s3://"),
        ("STORAGE_URL", "s3://media?endpoint=http://x"),
        ("STORAGE_URL", "s3://media?endpoint_url=minio:9000"),
        ("PORT", "http"),
        ("PORT", "70000"),
        ("DRAGOMAN_LEASE_SECONDS", "-1"),
        ("DRAGOMAN_LEASE_SECONDS", "²"),
        ("DRAGOMAN_LOG_LEVEL", "loud"),
        ("DRAGOMAN_SECURE_COOKIES", "maybe"),
        ("DRAGOMAN_VAR", "/proc/none/here"),
    ],
)
def test_what_is_wrong_is_named(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", KEY)
    monkeypatch.setenv(name, value)
    with pytest.raises(ImproperlyConfigured, match=name) as caught:
        environment.load()
    assert "\n" not in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgres://u:p%40ss@h:5433/db", {"USER": "u", "PASSWORD": "p@ss", "HOST": "h", "PORT": 5433, "NAME": "db"}),
        ("postgresql:///db", {"HOST": "", "NAME": "db"}),
        ("postgres://u@%2Frun%2Fpostgresql/db", {"HOST": "/run/postgresql", "USER": "u"}),
        ("sqlite:////srv/x.sqlite3", {"NAME": "/srv/x.sqlite3"}),
    ],
)
def test_databases(url: str, expected: dict[str, object]) -> None:
    found = environment.database(url, Path())
    assert {name: found[name] for name in expected} == expected


def test_buckets() -> None:
    found = environment.storage(
        "s3://id:s%2Fcret@media/some/where?endpoint_url=http://minio:9000&region_name=eu", Path()
    )
    assert found["OPTIONS"] == {
        "bucket_name": "media",
        "location": "some/where",
        "access_key": "id",
        "secret_key": "s/cret",
        "endpoint_url": "http://minio:9000",
        "region_name": "eu",
        "addressing_style": "path",
    }
    assert environment.storage("s3://media", Path())["OPTIONS"]["addressing_style"] == "auto"


def test_a_wrong_environment_is_one_line_on_the_console(tmp_path: Path) -> None:
    env = {"PATH": os.environ["PATH"], "DRAGOMAN_VAR": str(tmp_path), "DEBUG": "0", "SECRET_KEY": "secret"}
    for command in ("web", "check"):
        ended = subprocess.run(
            [sys.executable, "manage.py", command], cwd=ROOT, env=env, capture_output=True, text=True, check=False
        )
        assert ended.returncode == 1
        assert ended.stdout == ""
        assert ended.stderr.splitlines() == [
            "Dragoman cannot start: SECRET_KEY is a default, or not 32 characters of chance."
        ]
