"""Durable stages that do nothing, a second, against RQ's own workers with jobs that do nothing.

    python -m bench.tiny_stages [--workers 2] [--stages 1000] [--rounds 3] [--postgres]

The same number of workers on the same Redis server, in turns. A stage of ours is claimed under a lease, run, committed
with its attempt and its result, and its successor planned; an RQ job is popped and called. Ours are measured twice:
as shards of a few jobs, and as jobs of one stage each. ``--postgres`` starts a PostgreSQL of its own beside SQLite.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import redis
from rq import Queue

from bench import server as serving

POSTGRES = Path("/usr/lib/postgresql/15/bin")
NOTHING = "bench.nothing.nothing"
SUBMIT = """
import sys, uuid
import django; django.setup()
from accounts.models import User
from assets.models import Asset
from jobs.services import dispatch
from jobs.services.submission import JobRequest, job_submit
dispatch.dispatch_all = lambda **_: 0
jobs, shards = int(sys.argv[1]), int(sys.argv[2])
owner = User.objects.get_or_create(email="bench@example.com")[0]
asset = Asset.objects.get_or_create(
    owner=owner, filename="nothing.wav", kind="audio", status="ready", sha256="0" * 64, storage_key="nothing.wav",
    size=1, media_type="audio/wav")[0]
for _ in range(jobs):
    job_submit(owner=owner, request=JobRequest(
        kind="noop", asset_id=asset.pk, source_language="en", target_languages=("es",),
        params={"shards": shards, "nonce": uuid.uuid4().hex}))
"""
WAIT = """
import sys, time
import django; django.setup()
from jobs.models import WorkerProcess
while WorkerProcess.objects.count() < int(sys.argv[1]):
    time.sleep(0.1)
"""
COUNT = """
import sys, time
import django; django.setup()
from jobs.models import Job, StageRun
from jobs.services import dispatch
began = time.perf_counter()
done = lambda: StageRun.objects.filter(status="succeeded").count()
before = done()
dispatch.dispatch_all()
while Job.objects.exclude(status__in=("succeeded", "failed", "cancelled")).exists():
    time.sleep(0.05)
assert not Job.objects.exclude(status="succeeded").exists()
print(done() - before, time.perf_counter() - began)
"""


@contextmanager
def redis_server(folder: Path) -> Iterator[str]:
    """Its URL."""
    socket = folder / "redis.sock"
    argv = ["redis-server", "--port", "0", "--unixsocket", socket, "--save", "", "--dir", folder]
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL)
    url = f"unix://{socket}"
    try:
        client = redis.Redis.from_url(url)
        for _ in range(100):
            try:
                client.ping()
                break
            except redis.ConnectionError:
                time.sleep(0.05)
        yield url
    finally:
        process.terminate()
        process.wait()


@contextmanager
def postgres_server(folder: Path) -> Iterator[str]:
    """Its URL. Root must hand it to the user ``postgres``."""
    data, port = folder / "postgres", serving.free_port()
    data.mkdir()
    as_user: list[str] = []
    if os.geteuid() == 0:
        shutil.chown(data, "postgres")
        folder.chmod(0o755)
        as_user = ["runuser", "-u", "postgres", "--"]
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "cwd": data}
    subprocess.run([*as_user, POSTGRES / "initdb", "-D", data, "-U", "bench", "-A", "trust"], check=True, **quiet)
    argv = [*as_user, POSTGRES / "postgres", "-D", data, "-p", str(port), "-k", data, "-h", "127.0.0.1"]
    process = subprocess.Popen(argv, stderr=subprocess.DEVNULL, **quiet)
    try:
        ready = [POSTGRES / "pg_isready", "-h", "127.0.0.1", "-p", str(port), "-U", "bench"]
        while subprocess.run(ready, check=False, **quiet).returncode:
            time.sleep(0.1)
        yield f"postgres://bench@127.0.0.1:{port}/postgres"
    finally:
        process.terminate()
        process.wait()


def by_rq(url: str, kind: str, workers: int, jobs: int) -> float:
    """Jobs a second of RQ's workers of this kind, started before and warm."""
    connection = redis.Redis.from_url(url)
    connection.flushall()
    queue = Queue("bench", connection=connection)
    environment = {**os.environ, "PYTHONPATH": str(serving.ROOT)}
    argv = [sys.executable, "-m", "rq.cli", "worker", "--quiet", "--url", url, "--worker-class", kind, "bench"]
    running = [subprocess.Popen(argv, env=environment, cwd=serving.ROOT) for _ in range(workers)]
    try:
        while len(connection.smembers("rq:workers")) < workers:
            time.sleep(0.05)
        for _ in range(20):
            queue.enqueue(NOTHING, result_ttl=0)
        _until_empty(queue)
        queue.enqueue_many([Queue.prepare_data(NOTHING, result_ttl=0) for _ in range(jobs)])
        began = time.perf_counter()
        _until_empty(queue)
        return jobs / (time.perf_counter() - began)
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait()


def _until_empty(queue: Queue) -> None:
    while queue.count or queue.started_job_registry.count:
        time.sleep(0.01)


def ours(environment: dict[str, str], workers: int, jobs: int, shards: int) -> float:
    """Stages a second of our workers, started before and warm."""

    def python(code: str, *args: str) -> str:
        argv = [sys.executable, "-c", code, *args]
        done = subprocess.run(argv, env=environment, cwd=serving.ROOT, check=True, capture_output=True, text=True)
        return done.stdout

    log = (Path(environment["DRAGOMAN_VAR"]) / "worker.log").open("ab")
    argv = [sys.executable, "manage.py", "worker", "--queue", "cpu"]
    running = [
        subprocess.Popen(argv, env=environment, cwd=serving.ROOT, stdout=log, stderr=log) for _ in range(workers)
    ]
    try:
        python(WAIT, str(workers))
        for number, size in ((2, 20), (jobs, shards)):  # the first to warm up
            python(SUBMIT, str(number), str(size))
            stages, seconds = map(float, python(COUNT).split())
        return stages / seconds
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait()
        log.close()


def environment_of(folder: Path, redis_url: str, database: str) -> dict[str, str]:
    """A fresh installation: no server, only workers."""
    folder.mkdir()
    surroundings = os.environ | {
        "DRAGOMAN_VAR": str(folder),
        "REDIS_URL": redis_url,
        "DRAGOMAN_PLUGINS": "bench.noop_pipeline",
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "SECRET_KEY": "a bench needs a key that is longer than that",
    }
    if database:
        surroundings["DATABASE_URL"] = database
    argv = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
    subprocess.run(argv, cwd=serving.ROOT, env=surroundings, check=True)
    return surroundings


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--stages", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--postgres", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dragoman-bench-") as made, ExitStack() as stack:
        folder = Path(made)
        url = stack.enter_context(redis_server(folder))
        databases = {"SQLite": ""}
        if options.postgres:
            databases["PostgreSQL"] = stack.enter_context(postgres_server(folder))
        found: dict[str, list[float]] = defaultdict(list)
        for number in range(options.rounds):
            found["RQ fork worker"].append(by_rq(url, "rq.worker.Worker", options.workers, options.stages // 2))
            found["RQ SimpleWorker"].append(by_rq(url, "rq.worker.SimpleWorker", options.workers, options.stages * 2))
            for name, database in databases.items():
                for jobs, what in ((4, "shards of 4 jobs"), (options.stages // 4, "jobs of one stage")):
                    redis.Redis.from_url(url).flushall()
                    environment = environment_of(folder / f"{name}-{number}-{jobs}", url, database)
                    shards = options.stages // jobs if jobs == 4 else 1
                    found[f"{name}, {what}"].append(ours(environment, options.workers, jobs, shards))
            print(f"round {number + 1}: " + ", ".join(f"{n} {v[-1]:.0f}" for n, v in found.items()), flush=True)
    simple = statistics.median(found["RQ SimpleWorker"])
    for name, rates in found.items():
        rate = statistics.median(rates)
        print(f"{name:32} {rate:6.0f} a second   {rate / simple:5.2f} of SimpleWorker   load {serving.load()}")


if __name__ == "__main__":
    main()
