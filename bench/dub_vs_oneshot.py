"""A job of ours against the hand-written script of the same engines, in turns, on the same film.

    python -m bench.dub_vs_oneshot [--rounds 5] [--film FILM] [--detail]

Each round runs the script and then a job of a new owner, for whom nothing is cached; the models are loaded. The first
job of a server that has just started is timed apart. ``job`` is what a client waits, from sending the order to the
last event on its stream; the script's time is from its start to its end.

Orchestration is the part of the job's time (created to finished, by its row) in which no stage was at work: the union
of the intervals between a stage's being entered and left, which workers log, is taken off. It holds claiming,
choosing, messages, storing and committing, and any waiting for a worker; claims and commits beside another
stage's work cost no time but a core, so their share of all workers' time is printed, too. Seconds of processor are of
everything that ran, and hardly depend on what else the machine does.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from bench import server as serving
from cli.clip import make_clip

TALK = Path(__file__).with_name("talk.txt")
ONESHOT = Path(__file__).with_name("oneshot_dub.py")


@dataclass(frozen=True, slots=True)
class Timed:
    """One job. Seconds, and shares of them."""

    waited: float
    used: float
    took: float
    orchestration: float
    overhead: float


def film_of(folder: Path) -> Path:
    """The talk of 24 sentences, about 95 seconds, 720p."""
    return make_clip(folder / "talk.mp4", TALK.read_text(encoding="utf-8").splitlines())


def script(film: Path) -> tuple[float, float]:
    """Seconds that the script takes, and seconds of processor."""
    with tempfile.TemporaryDirectory() as out:
        began, used = time.perf_counter(), _used()
        subprocess.run([sys.executable, ONESHOT, film, out], check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - began, _used() - used


def _used() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def job(server: serving.Server, client: httpx.Client, film: Path, *, detail: bool = False) -> Timed:
    """A job that starts from nothing."""
    asset = serving.upload(client, film)
    began, used = time.perf_counter(), server.used()
    id = serving.submit(client, asset)
    ended = serving.follow(client, id)
    waited, used = time.perf_counter() - began, server.used() - used
    if ended != "job.succeeded":
        raise RuntimeError(f"The job ended with {ended}: {client.get(f'jobs/{id}').json()['error']}")
    row = client.get(f"jobs/{id}").json()
    took = _at(row["finished_at"]) - _at(row["created_at"])
    spans = _spans(client, id)
    if detail:
        _show(spans, _at(row["created_at"]))
    inside = sum(span["left"] - span["entered"] for span in spans)
    whole = sum(span["done"] - span["started"] for span in spans)
    return Timed(waited, used, took, 1 - _union(spans) / took, (whole - inside) / whole)


def _at(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def _spans(client: httpx.Client, id: str) -> list[dict[str, Any]]:
    """When each run was begun, entered, left and done, by the job's log."""
    time.sleep(0.5)
    rows = [json.loads(line) for line in client.get(f"jobs/{id}/logs").text.splitlines()]
    spans = []
    for row in rows:
        if row["event"] != "stage.succeeded":
            continue
        done = _at(row["timestamp"])
        started = done - row["duration_ms"] / 1000
        spans.append(
            {
                "place": "/".join(filter(None, (row["stage"], row["language"], str(row["shard"] or "")))),
                "worker": row["worker"],
                "started": started,
                "entered": started + row["entered_ms"] / 1000,
                "left": started + row["left_ms"] / 1000,
                "done": done,
            }
        )
    return sorted(spans, key=lambda span: span["started"])


def _union(spans: list[dict[str, Any]]) -> float:
    """Seconds in which at least one stage was at work."""
    total, reached = 0.0, 0.0
    for first, last in sorted((span["entered"], span["left"]) for span in spans):
        total += max(0.0, last - max(first, reached))
        reached = max(reached, last)
    return total


def _show(spans: list[dict[str, Any]], zero: float) -> None:
    workers = sorted({span["worker"] for span in spans})
    for span in spans:
        times = "  ".join(f"{span[name] - zero:7.3f}" for name in ("started", "entered", "left", "done"))
        print(f"  {times}  {'  ' * 8 * workers.index(span['worker'])}{span['place']}")


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--film", type=Path)
    parser.add_argument("--detail", action="store_true", help="when each stage ran")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        film = options.film or film_of(Path(folder))
        with serving.running() as server:
            cold = job(server, server.client("cold@example.com"), film, detail=options.detail)
            print(f"first job of a new server: {cold.waited:.2f} s")
            print(
                "round   script      job    ratio   processor: script, job   orchestration   claims and commits   load"
            )
            rounds = []
            for number in range(options.rounds):
                client = server.client(f"round{number}@example.com")
                by_script, by_script_used = script(film)
                ours = job(server, client, film, detail=options.detail)
                rounds.append((by_script, ours))
                columns = (
                    f"{number + 1:5}",
                    f"{by_script:6.2f} s {ours.waited:6.2f} s  {ours.waited / by_script:6.3f}",
                    f"{by_script_used:15.2f} s {ours.used:6.2f} s",
                    f"{ours.orchestration:13.1%}  {ours.overhead:18.1%}  {serving.load():>5}",
                )
                print("  ".join(columns), flush=True)
    ratios = [ours.waited / by_script for by_script, ours in rounds]
    print(f"ratio: median {statistics.median(ratios):.3f}, {min(ratios):.3f} to {max(ratios):.3f}")
    print(f"first job against the script: {cold.waited / statistics.median(s for s, _ in rounds):.3f}")
    print(f"orchestration: median {statistics.median(ours.orchestration for _, ours in rounds):.1%}")


if __name__ == "__main__":
    main()
