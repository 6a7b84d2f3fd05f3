"""Runs pytest on a PostgreSQL of its own: ``python -m tests.on_postgres [arguments of pytest]``.

A cluster in a temporary folder, on a Unix socket, stopped and removed at the end, also when we are killed. PostgreSQL
does not run as root: there it runs as ``postgres``, or as ``nobody``.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.die import die_with_parent

FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "listen_addresses=", "max_connections=100")


def binaries() -> Path:
    """The folder of initdb and postgres."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if not versions:
        sys.exit("There is no PostgreSQL on this machine; `make setup-test` brings it.")
    return versions[-1].parent


def account() -> str | None:
    """Who runs the server; None for whoever we are."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


@contextmanager
def cluster() -> Iterator[str]:
    """A running cluster; its URL."""
    home = Path(tempfile.mkdtemp(prefix="dragoman-pg-"))
    user = account()
    if user:
        shutil.chown(home, user)
    programs, data = binaries(), home / "data"
    subprocess.run(
        [programs / "initdb", "-D", data, "-U", "dragoman", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"],
        user=user,
        check=True,
        cwd=home,
        stdout=subprocess.DEVNULL,
    )
    options = [part for option in (*FAST, f"unix_socket_directories={home}") for part in ("-c", option)]
    with (home / "log").open("wb") as log:
        server = subprocess.Popen(
            [programs / "postgres", "-D", data, *options],
            user=user,
            cwd=home,
            stdout=subprocess.DEVNULL,
            stderr=log,
            preexec_fn=die_with_parent,  # noqa: PLW1509  (nothing but one system call)
        )
    try:
        ready = [programs / "pg_isready", "-q", "-h", home, "-U", "dragoman", "-d", "postgres", "-t", "30"]
        for _ in range(150):
            if subprocess.run(ready, check=False).returncode == 0:
                break
            if server.poll() is not None:
                sys.exit((home / "log").read_text())
            subprocess.run(["sleep", "0.2"], check=True)
        yield f"postgres://dragoman@{str(home).replace('/', '%2F')}/postgres"
    finally:
        server.terminate()
        server.wait(30)
        shutil.rmtree(home, ignore_errors=True)


def main(arguments: list[str]) -> int:
    """Run pytest; its exit code."""
    with cluster() as url:
        environment = os.environ | {"DATABASE_URL": url}
        return subprocess.run([sys.executable, "-m", "pytest", *arguments], env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
