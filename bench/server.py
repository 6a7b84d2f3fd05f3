"""A server of its own for a measurement: ``manage.py serve`` on a free port, a fresh ``var``, and a client."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parent.parent


def free_port() -> int:
    """One that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(slots=True)
class Server:
    """A running server."""

    var: Path
    base: str
    environment: dict[str, str]
    process: subprocess.Popen[bytes]

    @property
    def log(self) -> Path:
        """What its processes wrote."""
        return self.var / "serve.log"

    def manage(self, *args: str) -> str:
        """Output of ``manage.py …`` on this server's surroundings."""
        done = subprocess.run(
            [sys.executable, "manage.py", *args],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    def client(self, email: str) -> httpx.Client:
        """A client of a user of this name. Each owner's results are cached apart, so a new one starts from nothing."""
        key = self.manage("create_api_key", email)
        return httpx.Client(base_url=f"{self.base}/api/v1/", headers={"Authorization": f"Api-Key {key}"}, timeout=300)

    def rows(self, query: str, *args: Any) -> list[tuple[Any, ...]]:
        """Ask the embedded database."""
        with sqlite3.connect(self.var / "dragoman.sqlite3", timeout=20) as db:
            return db.execute(query, args).fetchall()

    def processes(self) -> list[int]:
        """Its own id and those of everything below it."""
        found = [self.process.pid]
        for pid in found:
            found += children_of(pid)
        return found

    def used(self) -> float:
        """Seconds of processor so far, of all that lives and of what they have waited for."""
        ticks = 0
        for pid in self.processes():
            try:
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            ticks += sum(map(int, fields[11:15]))
        return ticks / os.sysconf("SC_CLK_TCK")

    def kill(self) -> None:
        """SIGKILL to all at once, as when a machine loses its power."""
        everything = self.processes()
        for pid in everything:
            _signal(pid, signal.SIGKILL)
        self.process.wait()


def children_of(pid: int) -> list[int]:
    """Ids of the children of all threads of a process; none when it is gone."""
    found: list[int] = []
    try:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (thread / "children").read_text().split())
    except OSError:
        return found
    return found


def _signal(pid: int, signum: signal.Signals) -> None:
    try:
        os.kill(pid, signum)
    except ProcessLookupError:
        return


def start(var: Path, *, environment: dict[str, str] | None = None, arguments: tuple[str, ...] = ()) -> Server:
    """Start it, without waiting."""
    port = free_port()
    var.mkdir(parents=True, exist_ok=True)
    surroundings = {**os.environ, "DRAGOMAN_VAR": str(var), "PORT": str(port), **(environment or {})}
    for name in ("REDIS_URL", "DATABASE_URL", "DJANGO_SETTINGS_MODULE"):
        if name not in (environment or {}):
            surroundings.pop(name, None)
    with (var / "serve.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "serve", "--port", str(port), *arguments],
            cwd=ROOT,
            env=surroundings,
            stdout=log,
            stderr=log,
        )
    return Server(var, f"http://127.0.0.1:{port}", surroundings, process)


def wait_ready(server: Server, *, seconds: float = 90) -> None:
    """Until it answers and has workers. Raises RuntimeError."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if server.process.poll() is not None:
            raise RuntimeError(f"The server ended: {server.log.read_text()[-2000:]}")
        try:
            answer = httpx.get(f"{server.base}/readyz", timeout=5)
            if answer.is_success and answer.json().get("workers"):
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.2)
    raise RuntimeError("The server was not ready in time.")


@contextmanager
def running(
    *, environment: dict[str, str] | None = None, arguments: tuple[str, ...] = (), folder: Path | None = None
) -> Iterator[Server]:
    """A server that is ready; stopped, and its folder gone, at the end."""
    with tempfile.TemporaryDirectory(prefix="dragoman-bench-", dir=folder) as made:
        server = start(Path(made) / "var", environment=environment, arguments=arguments)
        try:
            wait_ready(server)
            yield server
        finally:
            server.process.terminate()
            try:
                server.process.wait(60)
            except subprocess.TimeoutExpired:
                server.kill()


def upload(client: httpx.Client, film: Path) -> str:
    """The asset's id."""
    with film.open("rb") as stream:
        answer = client.post("assets", files={"file": (film.name, stream)})
    answer.raise_for_status()
    return str(answer.json()["id"])


def submit(client: httpx.Client, asset: str, languages: tuple[str, ...] = ("es", "ca"), kind: str = "dub") -> str:
    """The job's id."""
    order = {"kind": kind, "asset": asset, "source_language": "en", "target_languages": list(languages)}
    answer = client.post("jobs", json=order)
    answer.raise_for_status()
    return str(answer.json()["id"])


def follow(client: httpx.Client, job: str) -> str:
    """Wait for the job's last event, over the stream; its type."""
    last = ""
    with client.stream("GET", f"jobs/{job}/stream") as answer:
        for line in answer.iter_lines():
            if line.startswith("data:"):
                last = json.loads(line[5:])["type"]
                if last in {"job.succeeded", "job.failed", "job.cancelled"}:
                    break
    return last


def load() -> str:
    """What else the machine does: the load average of one minute."""
    return f"{os.getloadavg()[0]:.2f}"
