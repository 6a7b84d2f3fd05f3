"""The environment, parsed once into typed values. Every variable may also be given as ``NAME_FILE``."""

from __future__ import annotations

import os
import secrets
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent
KNOWN_SECRETS = frozenset({"", "secret", "change-me", "changeme", "insecure", "django-insecure"})
MINIMUM_SECRET = 32
DISTINCT = 5
LOG_LEVELS = ("INFO", "DEBUG", "WARNING", "ERROR", "CRITICAL")
DATABASES = ("django.db.backends.postgresql", "django.db.backends.sqlite3")
DATABASE_FORMS = "postgres://user:password@host:5432/name or sqlite:////path/of/the/file"
POOL_SECONDS = 15.0
"""How long a request waits for a connection of the pool."""
REDIS_FORMS = "redis://host:6379/0, rediss://… or unix:///path/of/the/socket"
STORAGE_FORMS = "file:///path or s3://bucket?endpoint_url=…"


@dataclass(frozen=True, slots=True)
class Environment:
    """Everything that settings need to know about where they run.

    ``var`` holds what an embedded instance keeps, ``static`` the collected files that pages need; ``embedded`` is True
    when no database was named.
    """

    debug: bool
    embedded: bool
    var: Path
    static: Path
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
    drain_seconds: int
    secure_cookies: bool
    proxy_hops: int


def read(name: str, default: str = "") -> str:
    """A variable, or the content of the file that ``NAME_FILE`` points to. Raises ImproperlyConfigured."""
    if path := os.environ.get(f"{name}_FILE"):
        try:
            return Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not text"
            raise ImproperlyConfigured(f"{name}_FILE names {path}, which cannot be read: {reason}.") from error
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


def number(name: str, default: int, *, least: int = 0, most: int = 2**62) -> int:
    """A whole number within bounds. Raises ImproperlyConfigured on anything else."""
    raw = read(name) or str(default)
    if not (raw.isascii() and raw.isdecimal() and len(raw) < 20 and least <= int(raw) <= most):
        span = f"from {least} to {most}" if most < 2**62 else f"of at least {least}"
        raise ImproperlyConfigured(f"{name} must be a whole number {span}; it is {raw!r}.")
    return int(raw)


def one_of(name: str, choices: tuple[str, ...]) -> str:
    """One of a few words, the first when none is given. Raises ImproperlyConfigured on anything else."""
    raw = read(name) or choices[0]
    if raw.upper() not in choices:
        raise ImproperlyConfigured(f"{name} must be one of {', '.join(choices)}; it is {raw!r}.")
    return raw.upper()


def listed(name: str, default: str) -> tuple[str, ...]:
    """A list, by commas."""
    return tuple(part.strip() for part in read(name, default).split(",") if part.strip())


def load() -> Environment:
    """Parse the environment. Raises ImproperlyConfigured naming the variable that is wrong."""
    var = folder(Path(read("DRAGOMAN_VAR") or BASE_DIR / "var"))
    debug = flag("DEBUG", default=False)
    database_url = read("DATABASE_URL")
    embedded = not database_url
    return Environment(
        debug=debug,
        embedded=embedded,
        var=var,
        static=Path(read("DRAGOMAN_STATIC") or var / "static"),
        port=number("PORT", 8000, least=1, most=65535),
        secret_key=secret_key(var, debug=debug, embedded=embedded),
        allowed_hosts=listed("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]"),
        trusted_origins=listed("CSRF_TRUSTED_ORIGINS", ""),
        database=database(database_url, var),
        redis_url=redis_url(var),
        storage=storage(read("STORAGE_URL"), var),
        log_level=one_of("DRAGOMAN_LOG_LEVEL", LOG_LEVELS),
        log_console=flag("DRAGOMAN_LOG_CONSOLE", default=False),
        max_upload_bytes=number("DRAGOMAN_MAX_UPLOAD_BYTES", 8 * 1024**3, least=1),
        slots_per_owner=number("DRAGOMAN_SLOTS_PER_OWNER", 0),
        lease_seconds=number("DRAGOMAN_LEASE_SECONDS", 60, least=4, most=3600),
        drain_seconds=number("DRAGOMAN_DRAIN_SECONDS", 25, most=3600),
        secure_cookies=flag("DRAGOMAN_SECURE_COOKIES", default=not embedded and not debug),
        proxy_hops=number("DRAGOMAN_PROXY_HOPS", 0),
    )


def folder(path: Path) -> Path:
    """Where an embedded instance keeps things, made if need be. Raises ImproperlyConfigured."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ImproperlyConfigured(f"DRAGOMAN_VAR names {path}, which cannot be made: {error.strerror}.") from error
    return path.resolve()


def secret_key(var: Path, *, debug: bool, embedded: bool) -> str:
    """The key that was given, or one that an embedded instance makes for itself and keeps in ``var``.

    An instance that was told ``DEBUG=0``, or that has a database of its own, must be given a key: made on each
    machine apart they would differ.
    """
    given = read("SECRET_KEY")
    told_production = read("DEBUG") != "" and not debug
    weak = given.lower() in KNOWN_SECRETS or given.startswith("django-insecure-") or len(set(given)) < DISTINCT
    if given and not debug and (weak or len(given) < MINIMUM_SECRET):
        raise ImproperlyConfigured(f"SECRET_KEY is a default, or not {MINIMUM_SECRET} characters of chance.")
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
    """Django's DATABASES entry. Raises ImproperlyConfigured, without what stands in the URL.

    SQLite takes its write lock when a transaction begins: DEFERRED ones that read and then write fail with "database is
    locked". PostgreSQL has a pool in each process: under ASGI every request has a thread of its own, and connections
    that threads keep would pile up until the server takes no more.
    """
    if not url:
        url = f"sqlite:///{var / 'dragoman.sqlite3'}"
    try:
        with warnings.catch_warnings(action="ignore"):
            entry: dict[str, Any] = environ.Env.db_url_config(url)
    except (ValueError, KeyError) as error:
        raise ImproperlyConfigured(f"DATABASE_URL must look like {DATABASE_FORMS}.") from error
    if entry.get("ENGINE") not in DATABASES or entry.get("NAME") in {"", ":memory:", None}:
        raise ImproperlyConfigured(f"DATABASE_URL must look like {DATABASE_FORMS}.")
    if entry["ENGINE"].endswith("sqlite3"):
        entry["OPTIONS"] = {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA busy_timeout=20000; "
            "PRAGMA cache_size=-16000; PRAGMA mmap_size=134217728;",
        }
    else:
        entry["HOST"] = unquote(entry.get("HOST") or "")  # a socket's folder, as libpq writes it in a URI
        entry["CONN_HEALTH_CHECKS"] = True
        entry["CONN_MAX_AGE"] = 0  # back to the pool after each request
        entry["OPTIONS"] = {
            **entry.get("OPTIONS", {}),
            "pool": {
                "min_size": 1,
                "max_size": number("DRAGOMAN_DATABASE_CONNECTIONS", 20, least=2, most=1000),
                "timeout": POOL_SECONDS,
            },
        }
    return entry


def redis_url(var: Path) -> str:
    """The Redis that was named, or the one that ``manage.py serve`` started for this ``var``."""
    if url := read("REDIS_URL"):
        parts = split("REDIS_URL", url, REDIS_FORMS)
        if parts.scheme not in {"redis", "rediss", "unix"} or not (parts.hostname or parts.scheme == "unix"):
            raise ImproperlyConfigured(f"REDIS_URL must look like {REDIS_FORMS}.")
        return url
    running = var / "run" / "redis.url"
    return running.read_text(encoding="utf-8").strip() if running.exists() else "redis://127.0.0.1:6379/0"


def storage(url: str, var: Path) -> dict[str, Any]:
    """Django's default STORAGES entry for ``file:///…`` or ``s3://bucket[/prefix]?endpoint_url=…&region_name=…``."""
    if not url:
        url = f"file://{var / 'storage'}"
    parts = split("STORAGE_URL", url, STORAGE_FORMS)
    if parts.scheme == "file":
        if parts.netloc not in {"", "localhost"} or not parts.path.startswith("/"):
            raise ImproperlyConfigured(f"STORAGE_URL must look like {STORAGE_FORMS}.")
        return {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": unquote(parts.path), "base_url": None},
        }
    if parts.scheme != "s3" or not parts.netloc:
        raise ImproperlyConfigured(f"STORAGE_URL must look like {STORAGE_FORMS}.")
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
    if not query.get("endpoint_url", "https://").startswith(("https://", "http://")):
        raise ImproperlyConfigured("The endpoint_url in STORAGE_URL must begin with https:// or http://.")
    return {"BACKEND": "assets.objects.S3Objects", "OPTIONS": options | query}


def split(name: str, url: str, forms: str) -> SplitResult:
    """The parts of a URL, its port looked at. Raises ImproperlyConfigured."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} must look like {forms}.") from error
    return parts


def testing() -> bool:
    """Whether pytest runs us."""
    return "pytest" in sys.modules
