"""One demo, run once as a newcomer runs it: server, workers, film, player."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Page, sync_playwright

from tests.die import die_with_parent

ROOT = Path(__file__).parents[2]
OWN = (
    "DATABASE_URL",
    "REDIS_URL",
    "STORAGE_URL",
    "SECRET_KEY",
    "DJANGO_SETTINGS_MODULE",
    "ALLOWED_HOSTS",
    "PORT",
    "DRAGOMAN_PLUGINS",
)
READY = 240
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")


@dataclass(frozen=True, slots=True)
class Demo:
    """What the demo printed and left behind."""

    var: Path
    url: str
    email: str
    password: str
    process: subprocess.Popen[str]

    @property
    def base(self) -> str:
        """The server's address."""
        return self.url.partition("/jobs/")[0]

    @property
    def job(self) -> str:
        """The id of the job."""
        return self.url.partition("/jobs/")[2].partition("/")[0]

    @property
    def made(self) -> Path:
        """The folder of what was made."""
        return self.var / "demo"


def free_port() -> int:
    """A port that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """The demo, after its job; stopped with everything it started."""
    var = tmp_path_factory.mktemp("demo")
    surroundings = {name: value for name, value in os.environ.items() if name not in OWN}
    process = subprocess.Popen(
        [sys.executable, "-m", "cli.demo"],
        cwd=ROOT,
        env={**surroundings, "DRAGOMAN_VAR": str(var), "PORT": str(free_port()), "COLUMNS": "200"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=die_with_parent,  # noqa: PLW1509  (nothing but one system call)
    )
    lines: list[str] = []
    reader = threading.Thread(target=lambda: lines.extend(iter(process.stdout.readline, "")), daemon=True)  # type: ignore[union-attr]
    reader.start()
    until = time.monotonic() + READY
    while not any("Ctrl-C" in line for line in lines):
        if process.poll() is not None or time.monotonic() > until:
            process.kill()
            pytest.fail("".join(lines[-40:]))
        time.sleep(0.2)
    printed = "".join(lines)
    url = re.search(r"Watch it:\s+(\S+)", printed)
    signed = re.search(r"Sign in:\s+(\S+)\s+password: (\S+)", printed)
    assert url and signed
    family = psutil.Process(process.pid).children(recursive=True)
    yield Demo(var, url[1], signed[1], signed[2], process)
    process.send_signal(signal.SIGTERM)
    process.wait(60)
    _, alive = psutil.wait_procs(family, timeout=5)
    for left in alive:
        left.kill()
    assert not alive, f"outlived the demo: {alive}"


def until(page: Page, condition: str, seconds: float = 20) -> None:
    """Wait for a condition in the page; its policy forbids the browser's own way, which evaluates text."""
    end = time.monotonic() + seconds
    while not page.evaluate(condition):
        assert time.monotonic() < end, condition
        page.wait_for_timeout(50)


@pytest.fixture
def screen(demo: Demo) -> Iterator[Page]:
    """A signed-in page of a real browser; what it complains about fails the test."""
    with sync_playwright() as play:
        browser = play.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
        )
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        page = context.new_page()
        complaints: list[str] = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "console", lambda said: complaints.append(f"{said.text} {said.location}") if said.type == "error" else None
        )
        page.goto(f"{demo.base}/login/")
        page.get_by_label("E-mail address").fill(demo.email)
        page.get_by_label("Password").fill(demo.password)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(f"{demo.base}/")
        yield page
        browser.close()
    refused = [text for text in complaints if "422" not in text]  # tests send bad files on purpose
    assert not refused
