"""A web process on PostgreSQL has few connections, however many ask it and however long they listen."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import unquote, urlsplit

import httpx
import psycopg
import pytest

from tests.die import die_with_parent
from tests.on_postgres import cluster

ROOT = Path(__file__).parents[2]
MOST = 3
MAKE_JOB = """
import django; django.setup()
from accounts.models import User
from jobs.models import Job
from jobs.services.transitions import new_job_scope
job = Job(owner=User.objects.get(), kind="dub", title="x", source_language="en", target_languages=[], plan={})
with new_job_scope(job) as scope:
    scope.emit("job.queued", {})
print(job.pk)
"""


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A database of its own, whatever the others run on."""
    with cluster() as url:
        var = str(tmp_path_factory.mktemp("var"))
        yield os.environ | {"DATABASE_URL": url, "DRAGOMAN_VAR": var, "DRAGOMAN_DATABASE_CONNECTIONS": str(MOST)}


def run(env: dict[str, str], *args: str) -> str:
    done = subprocess.run([sys.executable, *args], cwd=ROOT, env=env, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def web(env: dict[str, str]) -> Iterator[str]:
    """A running web server's address."""
    run(env, "manage.py", "migrate", "--no-input", "--verbosity", "0")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "manage.py", "web", "--port", str(port)],
        cwd=ROOT,
        env=env,
        preexec_fn=die_with_parent,  # noqa: PLW1509  (nothing but one system call)
    )
    address = f"http://127.0.0.1:{port}"
    until = time.monotonic() + 30
    while True:
        try:
            httpx.get(f"{address}/livez")
            break
        except httpx.TransportError:
            assert time.monotonic() < until
            time.sleep(0.1)
    yield address
    process.kill()
    process.wait(10)


def connections(url: str, what: str = "count(*)") -> int:
    """How many there are; ``what`` may do something to each."""
    host, name = unquote(urlsplit(url).netloc).split("@")[1], urlsplit(url).path.strip("/")
    with psycopg.connect(host=host, user="dragoman", dbname=name) as database:
        row = database.execute(
            f"SELECT {what} FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"  # type: ignore[arg-type]
        ).fetchone()
    assert row
    return int(row[0])


@pytest.mark.slow
def test_neither_many_requests_nor_many_listeners_use_up_the_database(env: dict[str, str], web: str) -> None:
    key = run(env, "manage.py", "create_api_key", "a@example.com")
    job = run(env, "-c", MAKE_JOB)
    limits = httpx.Limits(max_connections=60)
    with ExitStack() as stack:
        client = stack.enter_context(
            httpx.Client(base_url=web, headers={"Authorization": f"Api-Key {key}"}, limits=limits, timeout=30)
        )
        for _ in range(4 * MOST):
            stream = stack.enter_context(client.stream("GET", f"/api/v1/jobs/{job}/stream"))
            lines = stream.iter_lines()
            assert any(line == "event: job.queued" for line in lines)
        with ThreadPoolExecutor(30) as crowd:
            answers = list(crowd.map(lambda _: client.get("/api/v1/jobs").status_code, range(200)))
        assert answers == [200] * 200
        assert 1 <= connections(env["DATABASE_URL"]) <= MOST


@pytest.mark.slow
def test_cut_connections_are_answered_honestly_and_made_anew(env: dict[str, str], web: str) -> None:
    key = run(env, "manage.py", "create_api_key", "b@example.com")
    with httpx.Client(base_url=web, headers={"Authorization": f"Api-Key {key}"}, timeout=30) as client:
        assert client.get("/api/v1/jobs").status_code == 200
        for _ in range(5):
            assert connections(env["DATABASE_URL"], "count(pg_terminate_backend(pid))")
            answers = [client.get("/api/v1/jobs") for _ in range(5)]
            assert {answer.status_code for answer in answers} <= {200, 503}
            for answer in answers:
                if answer.status_code == 503:
                    assert answer.json()["code"] == "database_unavailable"
                    assert int(answer.headers["Retry-After"]) > 0
            assert answers[-1].status_code == 200
