"""``make demo``: a talk, dubbed before your eyes, over the same public API that everybody uses."""

from __future__ import annotations

import argparse
import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx
from rich.console import Console
from rich.live import Live
from rich.table import Table

from cli.clip import make_clip, talk

ROOT = Path(__file__).resolve().parent.parent
EMAIL = "demo@example.com"
START_SECONDS = 90
ENDED = ("job.succeeded", "job.failed", "job.cancelled")
MARKS = {"succeeded": "[green]done", "skipped": "[green]kept", "failed": "[red]failed", "running": "[yellow]working"}


@dataclass(slots=True)
class Board:
    """What the terminal shows: one row for each stage and language."""

    title: str
    progress: float = 0.0
    eta: float | None = None
    rows: dict[tuple[str, str], str] = field(default_factory=dict)

    def take(self, event: dict[str, Any]) -> str:
        """Take an event in; a line for terminals that only know lines, or ""."""
        data, kind = event["data"], event["type"]
        if kind == "job.progress":
            self.progress, self.eta = data["progress"], data.get("eta_seconds")
            return ""
        if not kind.startswith("stage."):
            return str(kind)
        place = (data["stage"], data.get("language") or "")
        if kind == "stage.progress":
            self.rows[place] = f"[yellow]working [dim]{data['progress']:.0f} %"
            return ""
        state = {"started": "running", "retrying": "tried again"}.get(kind[6:], kind[6:])
        self.rows[place] = MARKS.get(state, state)
        return f"{place[0]} {place[1]} {state}".replace("  ", " ")

    def table(self) -> Table:
        """The rows as a table."""
        left = f", about {self.eta:.0f} s left" if self.eta else ""
        table = Table(title=f"{self.title}: {self.progress:.0f} %{left}", title_justify="left")
        for name in ("stage", "language", "state"):
            table.add_column(name)
        for (stage, language), state in self.rows.items():
            table.add_row(stage, language, state)
        return table


def main() -> int:
    """Run the demo; 0 when the job succeeded."""
    options = _options()
    console = Console()
    var = Path(os.environ.get("DRAGOMAN_VAR", ROOT / "var")).resolve()
    out = var / "demo"
    video = options.video or _clip(out, console)
    if not video.is_file():
        console.print(f"[red]There is no file {video}.")
        return 2
    port = _free_port(int(os.environ.get("PORT") or 8000))
    environment = {**os.environ, "DRAGOMAN_VAR": str(var), "PORT": str(port)}
    (var / "run").mkdir(parents=True, exist_ok=True)
    log = var / "run" / "serve.log"
    with log.open("wb") as stream:
        server = subprocess.Popen(
            [sys.executable, "manage.py", "serve", "--port", str(port)], cwd=ROOT, env=environment, stderr=stream
        )
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return _show(console, server, environment, f"http://localhost:{port}", video=video, out=out, options=options)
    except KeyboardInterrupt:
        console.print("Stopping.")
        return 130
    except (httpx.HTTPError, RuntimeError) as error:
        console.print(f"[red]{error}[/] The server's log: {log}")
        return 1
    finally:
        server.terminate()
        server.wait(60)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make demo")
    parser.add_argument("--video", type=Path, help="a film of your own")
    parser.add_argument("--languages", default="es,ca")
    parser.add_argument("--exit", action="store_true", help="end after the job")
    return parser.parse_args()


def _clip(out: Path, console: Console) -> Path:
    clip = out / "source" / "talk.mp4"  # the dubbed film will be called talk.mp4, too
    if not clip.exists() or clip.with_suffix(".txt").read_text(encoding="utf-8").splitlines() != talk():
        with console.status("Making a talk of about a minute"):
            make_clip(clip, talk())
    return clip


def _free_port(wanted: int) -> int:
    for port in range(wanted, wanted + 100):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise SystemExit(f"No free port from {wanted} on.")


def _show(
    console: Console,
    server: subprocess.Popen[bytes],
    environment: dict[str, str],
    base: str,
    *,
    video: Path,
    out: Path,
    options: argparse.Namespace,
) -> int:
    with console.status("Starting the server"):
        _wait_ready(base, server)
    password = secrets.token_urlsafe(9)
    key = _manage(environment, "create_api_key", EMAIL, "--operator")
    _manage({**environment, "DEMO_PASSWORD": password}, "set_password", EMAIL, "--from-env", "DEMO_PASSWORD")
    headers = {"Authorization": f"Api-Key {key}"}
    with httpx.Client(base_url=base, headers=headers, timeout=httpx.Timeout(30, read=300)) as client:
        asset = _upload(client, console, video)
        order = {
            "kind": "dub",
            "asset": asset["id"],
            "source_language": "en",
            "target_languages": options.languages.split(","),
        }
        job = _checked(client.post("/api/v1/jobs", json=order))
        ended = _follow(client, console, job)
        job = _checked(client.get(f"/api/v1/jobs/{job['id']}"))
        count = _download(client, job, out)
    if ended != "job.succeeded":
        error = job.get("error") or {}
        console.print(f"[red]The job {job['status']}:[/] {error.get('message', '')}")
        return 1
    console.print(f"{count} files are in {out}")
    console.print(f"\nWatch it:  {base}/jobs/{job['id']}/watch/", soft_wrap=True)
    console.print(f"Sign in:   {EMAIL}   password: {password}\n")
    if options.exit:
        return 0
    console.print("Ctrl-C stops the server.")
    return server.wait()


def _wait_ready(base: str, server: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        if server.poll() is not None:
            raise RuntimeError("The server ended before it was ready.")
        try:
            answer = httpx.get(f"{base}/readyz", timeout=5)
        except httpx.HTTPError:
            time.sleep(0.3)
            continue
        if answer.is_success and answer.json().get("workers"):
            return
        time.sleep(0.3)
    raise RuntimeError("The server was not ready in time.")


def _manage(environment: dict[str, str], *args: str) -> str:
    done = subprocess.run(
        [sys.executable, "manage.py", *args], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1] if done.stderr else f"{args[0]} failed.")
    return done.stdout.strip()


def _upload(client: httpx.Client, console: Console, video: Path) -> dict[str, Any]:
    with console.status(f"Uploading {video.name}"), video.open("rb") as stream:
        return _checked(client.post("/api/v1/assets", files={"file": (video.name, stream)}))


def _checked(answer: httpx.Response) -> dict[str, Any]:
    """The body, or the problem as an error."""
    body: dict[str, Any] = answer.json()
    if answer.is_error:
        raise RuntimeError(f"{body.get('title')}: {body.get('detail')}")
    return body


def _follow(client: httpx.Client, console: Console, job: dict[str, Any]) -> str:
    """Show the job's events until it ends; the last one's type. A lost connection goes on after the last seq."""
    board = Board(job["title"])
    seq = 0
    with Live(board.table(), console=console, auto_refresh=False, transient=not console.is_terminal) as live:
        while True:
            for event in _events(client, job["id"], seq):
                seq = event["seq"] or seq
                line = board.take(event)
                if console.is_terminal:
                    live.update(board.table(), refresh=True)
                elif line:
                    console.print(line)
                if event["type"] in ENDED:
                    return str(event["type"])
            time.sleep(0.5)


def _events(client: httpx.Client, job_id: str, after: int) -> Iterator[dict[str, Any]]:
    try:
        with client.stream("GET", f"/api/v1/jobs/{job_id}/stream", params={"after": after}) as answer:
            for line in answer.iter_lines():
                if line.startswith("data:"):
                    yield json.loads(line[5:])
    except httpx.TransportError:
        return


def _download(client: httpx.Client, job: dict[str, Any], out: Path) -> int:
    """Every artifact under its own name below ``out``."""
    page: str | None = f"/api/v1/jobs/{job['id']}/artifacts?limit=200"
    count = 0
    while page:
        listed = _checked(client.get(page))
        for artifact in listed["results"]:
            if artifact["name"] == "hls/master.m3u8":
                count += _download_stream(client, job, out)
            else:
                _save(client, artifact["url"], out, artifact["name"])
                count += 1
        following = listed.get("next")
        page = urljoin(str(client.base_url), following) if following else None
    return count


def _download_stream(client: httpx.Client, job: dict[str, Any], out: Path) -> int:
    """The whole of the HLS package, as a player fetches it: from the signed address of its master."""
    signed = _checked(client.get(f"/api/v1/jobs/{job['id']}/playback"))["url"]
    waiting, seen = ["master.m3u8"], set[str]()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        saved = _save(client, urljoin(signed, name), out, f"hls/{name}")
        if name.endswith(".m3u8"):
            waiting += [urljoin(name, found) for found in _named_in(saved.read_text(encoding="utf-8"))]
    return len(seen)


def _named_in(playlist: str) -> list[str]:
    """What a playlist names: files on lines of their own, and in URI attributes."""
    lines = [line for line in playlist.splitlines() if line and not line.startswith("#")]
    return lines + re.findall(r'URI="([^"]+)"', playlist)


def _save(client: httpx.Client, url: str, out: Path, name: str) -> Path:
    target = (out / name).resolve()
    if not target.is_relative_to(out):
        raise RuntimeError(f"{name} would leave {out}.")
    target.parent.mkdir(parents=True, exist_ok=True)
    with client.stream("GET", url) as answer, target.open("wb") as stream:
        answer.raise_for_status()
        for chunk in answer.iter_bytes():
            stream.write(chunk)
    return target


if __name__ == "__main__":
    sys.exit(main())
