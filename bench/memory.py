"""Peak memory of the workers while long films are dubbed: the film is the talk of 24 sentences, over and over.

    python -m bench.memory [--minutes 10 60]

For each worker process its own peak resident set (VmHWM, what the kernel kept) and the peak of all programs below it
together (sampled ten times a second) are printed, in MB. The target is 400 MB for a worker, whatever the length.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from bench import server as serving
from bench.dub_vs_oneshot import film_of

SAMPLE_SECONDS = 0.1


def looped(talk: Path, minutes: float, out: Path) -> Path:
    """The talk, repeated to this length without encoding."""
    argv = ["ffmpeg", "-nostdin", "-v", "error", "-y", "-stream_loop", "-1", "-i", talk, "-t", str(minutes * 60)]
    subprocess.run([*argv, "-c", "copy", out], check=True)
    return out


class Watch(threading.Thread):
    """Follows the workers of a server."""

    def __init__(self, server: serving.Server) -> None:
        super().__init__(daemon=True)
        self._server = server
        self._ended = threading.Event()
        self.own: dict[str, float] = {}
        self.below: dict[str, tuple[float, str]] = {}

    def run(self) -> None:
        while not self._ended.wait(SAMPLE_SECONDS):
            for pid in serving.children_of(self._server.process.pid):
                role = _role(pid)
                if role.startswith("worker"):
                    self._look(f"{role} {pid}", pid)

    def end(self) -> None:
        """Stop."""
        self._ended.set()
        self.join()

    def _look(self, name: str, pid: int) -> None:
        self.own[name] = max(self.own.get(name, 0.0), _status(pid, "VmHWM"))
        below = serving.children_of(pid)
        for child in below:
            below += serving.children_of(child)
        total = sum(_status(child, "VmRSS") for child in below)
        if total > self.below.get(name, (0.0, ""))[0]:
            self.below[name] = total, "+".join(sorted({_program(child) for child in below}))


def _role(pid: int) -> str:
    words = _words(pid)
    return f"worker-{words[words.index('--queue') + 1]}" if "worker" in words and "--queue" in words else ""


def _program(pid: int) -> str:
    words = _words(pid)
    return Path(words[0]).name if words else ""


def _words(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode("utf-8", "replace").split("\0")[:-1]
    except OSError:
        return []


def _status(pid: int, field: str) -> float:
    """A field of /proc/<pid>/status, in MB; 0 when the process is gone."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    return 0.0


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, nargs="+", default=[10, 60])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dragoman-bench-") as folder:
        talk = film_of(Path(folder))
        for minutes in options.minutes:
            film = looped(talk, minutes, Path(folder) / "long.mp4")
            with serving.running() as server:
                client = server.client("memory@example.com")
                asset = serving.upload(client, film)
                watch = Watch(server)
                watch.start()
                began = time.monotonic()
                job = serving.submit(client, asset)
                ended = serving.follow(client, job)
                watch.end()
                seconds = time.monotonic() - began
                print(f"{minutes:.0f} min, {film.stat().st_size >> 20} MB: {ended} after {seconds:.0f} s")
                if ended != "job.succeeded":
                    print(client.get(f"jobs/{job}").json()["error"])
                for name, peak in sorted(watch.own.items()):
                    below, what = watch.below.get(name, (0.0, ""))
                    print(f"  {name:20} {peak:5.0f} MB   programs below it {below:5.0f} MB ({what})", flush=True)
            film.unlink()


if __name__ == "__main__":
    main()
