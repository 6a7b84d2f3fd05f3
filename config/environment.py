"""The environment, parsed once into typed values. Every variable may also be given as ``NAME_FILE``."""

from __future__ import annotations

import os
import secrets
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent
KNOWN_SECRETS = frozenset({"", "secret", "change-me", "changeme", "insecure", "django-insecure"})
MINIMUM_SECRET = 32


@dataclass(frozen=True, slots=True)
class Environment:
    """Everything that settings need to know about where they run.

    ``var`` holds what an embedded instance keeps; ``embedded`` is True when no database was named.
    """

    debug: bool
    embedded: bool
    var: Path
    port: int
    secret_key: str
    allowed_hosts: tuple[str, ...]
    trusted_origins: tuple[str, ...]
    database: dict[str, Any]
    redis_url: str
    storage: dict[str, Any]
    log_level: str
    log_console: bool
    max_upload_bytes: int
    slots_per_owner: int
    lease_seconds: int
    secure_cookies: bool
    proxy_hops: int


def read(name: str, default: str = "") -> str:
    """A variable, or the content of the file that ``NAME_FILE`` points to."""
    if path := os.environ.get(f"{name}_FILE"):
        return Path(path).read_text(encoding="utf-8").strip()
    return os.environ.get(name, default)


def flag(name: str, *, default: bool) -> bool:
    """A yes-or-no variable. Raises ImproperlyConfigured on anything else."""
    raw = read(name).lower()
    if raw in {"1", "true", "yes", "on"}:
        return True
    if raw in {"0", "false", "no", "off"}:
        return False
    if raw == "":
        return default
    raise ImproperlyConfigured(f"{name} must be one of 1, 0, true, false, yes, no, on, off; it is {raw!r}.")


def number(name: str, default: int) -> int:
    """A whole number. Raises ImproperlyConfigured on anything else."""
    raw = read(name, str(default))
    try:
        return int(raw)
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} must be a whole number; it is {raw!r}.") from error


def listed(name: str, default: str) -> tuple[str, ...]:
    """A list, by commas."""
    return tuple(part.strip() for part in read(name, default).split(",") if part.strip())


def load() -> Environment:
    """Parse the environment. Raises ImproperlyConfigured naming the variable that is wrong."""
    var = Path(read("DRAGOMAN_VAR", str(BASE_DIR / "var"))).resolve()
    var.mkdir(parents=True, exist_ok=True)
    debug = flag("DEBUG", default=False)
    database_url = read("DATABASE_URL")
    embedded = not database_url
    return Environment(
        debug=debug,
        embedded=embedded,
        var=var,
        port=number("PORT", 8000),
        secret_key=secret_key(var, debug=debug, embedded=embedded),
        allowed_hosts=listed("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]"),
        trusted_origins=listed("CSRF_TRUSTED_ORIGINS", ""),
        database=database(database_url, var),
        redis_url=redis_url(var),
        storage=storage(read("STORAGE_URL"), var),
        log_level=read("DRAGOMAN_LOG_LEVEL", "INFO").upper(),
        log_console=flag("DRAGOMAN_LOG_CONSOLE", default=False),
        max_upload_bytes=number("DRAGOMAN_MAX_UPLOAD_BYTES", 8 * 1024**3),
        slots_per_owner=number("DRAGOMAN_SLOTS_PER_OWNER", 0),
        lease_seconds=max(4, number("DRAGOMAN_LEASE_SECONDS", 60)),
        secure_cookies=flag("DRAGOMAN_SECURE_COOKIES", default=not embedded and not debug),
        proxy_hops=number("DRAGOMAN_PROXY_HOPS", 0),
    )


def secret_key(var: Path, *, debug: bool, embedded: bool) -> str:
    """The key that was given, or one that an embedded instance makes for itself and keeps in ``var``.

    An instance that was told ``DEBUG=0``, or that has a database of its own, must be given a key: made on each
    machine apart they would differ.
    """
    given = read("SECRET_KEY")
    told_production = read("DEBUG") != "" and not debug
    if given and not (debug or (given.lower() not in KNOWN_SECRETS and len(given) >= MINIMUM_SECRET)):
        raise ImproperlyConfigured(f"SECRET_KEY is a default or shorter than {MINIMUM_SECRET} characters.")
    if given:
        return given
    if told_production or (not embedded and not debug):
        raise ImproperlyConfigured("Set SECRET_KEY (or SECRET_KEY_FILE): with DEBUG off there is no default secret.")
    path = var / "secret_key"
    if not path.exists():
        made = path.with_suffix(f".{os.getpid()}")
        made.write_text(secrets.token_urlsafe(50), encoding="utf-8")
        made.chmod(0o600)
        try:
            os.link(made, path)  # of two processes that start together, the first one's key stays
        except FileExistsError:
            pass
        finally:
            made.unlink()
    return path.read_text(encoding="utf-8").strip()


def database(url: str, var: Path) -> dict[str, Any]:
    """Django's DATABASES entry. SQLite takes its write lock when a transaction begins: DEFERRED ones that read and
    then write fail with "database is locked"."""
    if not url:
        url = f"sqlite:///{var / 'dragoman.sqlite3'}"
    entry: dict[str, Any] = environ.Env.db_url_config(url)
    if entry["ENGINE"].endswith("sqlite3"):
        entry["OPTIONS"] = {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA busy_timeout=20000; "
            "PRAGMA cache_size=-16000; PRAGMA mmap_size=134217728;",
        }
    else:
        entry["HOST"] = unquote(entry.get("HOST") or "")  # a socket's folder, as libpq writes it in a URI
        entry["CONN_MAX_AGE"] = 600
        entry["CONN_HEALTH_CHECKS"] = True
    return entry


def redis_url(var: Path) -> str:
    """The Redis that was named, or the one that ``manage.py serve`` started for this ``var``."""
    if url := read("REDIS_URL"):
        return url
    running = var / "run" / "redis.url"
    return running.read_text(encoding="utf-8").strip() if running.exists() else "redis://127.0.0.1:6379/0"


def storage(url: str, var: Path) -> dict[str, Any]:
    """Django's default STORAGES entry for ``file:///…`` or ``s3://bucket[/prefix]?endpoint_url=…&region_name=…``."""
    if not url:
        url = f"file://{var / 'storage'}"
    parts = urlsplit(url)
    if parts.scheme == "file":
        return {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": unquote(parts.path), "base_url": None},
        }
    if parts.scheme != "s3" or not parts.netloc:
        raise ImproperlyConfigured("STORAGE_URL must be file:///path or s3://bucket?endpoint_url=…")
    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    bucket = parts.netloc.rpartition("@")[2]
    options: dict[str, Any] = {
        "bucket_name": bucket,
        "location": parts.path.strip("/"),
        "addressing_style": query.pop("addressing_style", "path" if "endpoint_url" in query else "auto"),
    }
    if parts.username and parts.password:
        options |= {"access_key": unquote(parts.username), "secret_key": unquote(parts.password)}
    unknown = set(query) - {"endpoint_url", "region_name"}
    if unknown:
        raise ImproperlyConfigured(f"STORAGE_URL does not take: {', '.join(sorted(unknown))}")
    return {"BACKEND": "assets.objects.S3Objects", "OPTIONS": options | query}


def testing() -> bool:
    """Whether pytest runs us."""
    return "pytest" in sys.modules
