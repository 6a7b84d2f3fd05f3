"""How long it takes until killed work goes on, and until a flushed Redis is made good.

    python -m bench.recovery [--repeats 10] [--machines 2] [--runs 50]

Stages that sleep are at work, so that nothing but the engine is measured. Four cases:

worker      SIGKILL of one worker in the middle of a stage; its supervisor lives. Until another attempt has begun.
two         SIGKILL of both workers at once.
machine     SIGKILL of everything, as when a machine loses its power; another server starts on the same files at once,
            and nobody ends the lease: it has to run out. Until the run is claimed again.
flush       FLUSHALL while many runs wait and the workers have just been killed, so that messages lie in Redis when it
            happens. Until every one of these runs has been taken up; that they work on them takes a part of this time.

Only processes that this started are killed, by their id.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import tempfile
import time
import uuid
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import httpx
import redis

from bench import server as serving
from bench.dub_vs_oneshot import film_of

PLUGIN = {"DRAGOMAN_PLUGINS": "bench.noop_pipeline"}
RUNNING = "SELECT id, fence, lease_owner FROM jobs_stagerun WHERE status = 'running' ORDER BY id"


def order(client: httpx.Client, asset: str, *, shards: int, seconds: float) -> None:
    """A job of sleeping stages."""
    params = {"shards": shards, "seconds": seconds, "nonce": uuid.uuid4().hex}
    body = {"kind": "noop", "asset": asset, "source_language": "en", "target_languages": ["es"], "params": params}
    client.post("jobs", json=body).raise_for_status()


def until(server: serving.Server, done: Callable[[], bool], *, seconds: float = 180) -> float:
    """Seconds until something is so. Raises RuntimeError."""
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        if done():
            return time.monotonic() - began
        time.sleep(0.05)
    raise RuntimeError(f"It was not so within {seconds} s: {server.log.read_text()[-1500:]}")


def workers(server: serving.Server) -> dict[str, int]:
    """Names and ids of the cpu workers that are alive."""
    rows = server.rows("SELECT name, pid FROM jobs_workerprocess WHERE queue = 'cpu'")
    alive = set(server.processes())
    return {name: pid for name, pid in rows if pid in alive}


def kill_workers(server: serving.Server, count: int) -> float:
    """Kill workers that have a run; the time until all of those runs are at work again."""
    names = workers(server)
    at_work = [(run, fence, names[owner]) for run, fence, owner in server.rows(RUNNING) if owner in names][:count]
    for _, _, pid in at_work:
        os.kill(pid, signal.SIGKILL)

    def again() -> bool:
        now = {run: rest for run, *rest in server.rows("SELECT id, fence, status FROM jobs_stagerun")}
        return all(now[run][0] > fence and now[run][1] in {"running", "succeeded"} for run, fence, _ in at_work)

    return until(server, again)


def flush(server: serving.Server, client: httpx.Client, asset: str, runs: int) -> float:
    """FLUSHALL with many runs queued while messages are on their way; until all were dispatched."""
    for _ in range(runs // 5):
        order(client, asset, shards=5, seconds=0.05)
    newest = server.rows("SELECT MAX(id) FROM jobs_stagerun")[0][0]
    for pid in workers(server).values():
        os.kill(pid, signal.SIGKILL)
    until(server, lambda: bool(server.rows("SELECT 1 FROM jobs_stagerun WHERE status = 'dispatched'")), seconds=30)
    url = (server.var / "run" / "redis.url").read_text(encoding="utf-8").strip()
    with redis.Redis.from_url(url) as connection:
        connection.flushall()
    left = "SELECT 1 FROM jobs_stagerun WHERE id <= ? AND status NOT IN ('running', 'succeeded', 'skipped') LIMIT 1"
    return until(server, lambda: not server.rows(left, newest))


def processes(folder: Path, film: Path, repeats: int, runs: int) -> dict[str, list[float]]:
    """The cases in which the supervisor lives."""
    found: dict[str, list[float]] = defaultdict(list)
    with serving.running(environment=PLUGIN, arguments=("--workers", "2"), folder=folder) as server:
        client = server.client("recovery@example.com")
        asset = serving.upload(client, film)
        for number in range(repeats):
            for case, count in (("worker", 1), ("two", 2)):
                order(client, asset, shards=4, seconds=4)
                until(server, lambda: len(server.rows(RUNNING)) >= 2 and len(workers(server)) >= 2)
                time.sleep(0.3 + 0.13 * number)
                found[case].append(kill_workers(server, count))
                until(server, lambda: not server.rows("SELECT 1 FROM jobs_job WHERE status NOT IN ('succeeded')"))
            until(server, lambda: len(workers(server)) >= 2)
            found["flush"].append(flush(server, client, asset, runs))
            until(server, lambda: not server.rows("SELECT 1 FROM jobs_job WHERE status NOT IN ('succeeded')"))
            print({case: round(times[-1], 1) for case, times in found.items()}, flush=True)
    return found


def machine(folder: Path, film: Path) -> float:
    """A machine that is gone: its lease has to run out."""
    var = folder / uuid.uuid4().hex
    first = serving.start(var, environment=PLUGIN)
    try:
        serving.wait_ready(first)
        client = first.client("machine@example.com")
        order(client, serving.upload(client, film), shards=1, seconds=10)
        until(first, lambda: bool(first.rows(RUNNING)))
        time.sleep(1)
        before = first.rows(RUNNING)[0]
    finally:
        first.kill()
    began = time.monotonic()
    second = serving.start(var, environment=PLUGIN)
    try:
        query = "SELECT 1 FROM jobs_stagerun WHERE id = ? AND fence > ? AND status IN ('running', 'succeeded')"
        until(second, lambda: bool(second.rows(query, before[0], before[1])))
        return time.monotonic() - began
    finally:
        second.kill()


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--machines", type=int, default=2)
    parser.add_argument("--runs", type=int, default=50)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dragoman-bench-") as made:
        folder = Path(made)
        film = film_of(folder)
        found = processes(folder, film, options.repeats, options.runs)
        for _ in range(options.machines):
            found["machine"].append(machine(folder, film))
    for case, times in found.items():
        ordered = sorted(times)
        high = ordered[max(0, round(0.95 * len(ordered)) - 1)]
        print(
            f"{case:8} {len(times):3} times   median {statistics.median(times):5.1f} s   "
            f"95 % {high:5.1f} s   longest {ordered[-1]:5.1f} s   load {serving.load()}"
        )


if __name__ == "__main__":
    main()
