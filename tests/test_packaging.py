"""Dockerfile and compose.yaml fit the commands, the variables and the files that there are."""

from __future__ import annotations

import fnmatch
import json
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import get_commands, load_command_class

from config import environment

ROOT = Path(__file__).parents[1]
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
OURS = {name: service for name, service in COMPOSE["services"].items() if service["image"].startswith("dragoman:")}
ENTRYPOINT = ["python", "manage.py"]


def instructions(name: str) -> list[str]:
    """The arguments of every instruction of this name."""
    return [line.split(None, 1)[1] for line in DOCKERFILE.splitlines() if line.startswith(f"{name} ")]


def filled(text: str, values: dict[str, str]) -> str:
    """As Compose fills ``${NAME}``, ``${NAME:-default}`` and ``${NAME:?message}``."""
    return re.sub(
        r"\$\{(\w+)(?::([-?])([^}]*))?\}",
        lambda found: values.get(found[1]) or (found[3] if found[2] == "-" else pytest.fail(f"{found[1]} is not set")),
        text,
    )


@pytest.fixture
def names_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> set[str]:
    """What config.environment reads, as it runs."""
    asked: set[str] = set()
    read = environment.read

    def noting(name: str, default: str = "") -> str:
        asked.add(name)
        return read(name, default)

    with monkeypatch.context() as watched:
        watched.setattr(environment, "read", noting)
        environment.load()
    return asked


def test_every_command_is_one_of_ours_with_its_options() -> None:
    assert set(OURS) >= {"web", "dispatcher", "worker"}
    assert json.loads(instructions("ENTRYPOINT")[-1]) == ENTRYPOINT
    commands = [service["command"] for service in OURS.values()] + [json.loads(instructions("CMD")[-1])]
    for name, *options in commands:
        command = load_command_class(get_commands()[name], name)
        command.create_parser("manage.py", name).parse_args(options)


def test_every_queue_that_a_stage_uses_has_a_worker() -> None:
    from media_pipeline import registry  # noqa: PLC0415

    served = {service["command"][-1] for service in OURS.values() if service["command"][0] == "worker"}
    assert {stage.queue.value for stage in registry.stages().values()} <= served


def test_every_variable_is_known(names_asked: set[str]) -> None:
    given = {name for service in OURS.values() for name in service["environment"]}
    in_image = {pair.split("=")[0] for line in instructions("ENV") for pair in line.split()}
    assert given <= names_asked
    assert in_image - {"PATH", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE"} <= names_asked
    readme = (ROOT / "README.md").read_text(encoding="utf-8") + (ROOT / "docs/operations.md").read_text("utf-8")
    assert not [name for name in names_asked if f"`{name}`" not in readme]


def test_the_filled_in_example_is_an_environment_that_starts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    values = dict(
        line.split("=", 1)
        for line in (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
        if line and not line.startswith("#")
    )
    for name in ("SECRET_KEY", "POSTGRES_PASSWORD", "MINIO_ROOT_PASSWORD"):
        assert values[name] == "", "no secret is given away"
        values[name] = os.urandom(32).hex()
    everything = yaml.safe_load(filled((ROOT / "compose.yaml").read_text(encoding="utf-8"), values))
    for name, value in everything["services"]["worker"]["environment"].items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setenv("DEBUG", "0")
    monkeypatch.setenv("DRAGOMAN_VAR", str(tmp_path))
    env = environment.load()
    assert not env.embedded
    services = everything["services"]
    assert env.database["HOST"] in services
    assert env.database["PASSWORD"] == services["postgres"]["environment"]["POSTGRES_PASSWORD"]
    assert env.redis_url.split("//")[1].split(":")[0] in services
    bucket = env.storage["OPTIONS"]
    assert bucket["endpoint_url"] == "http://minio:9000"
    assert bucket["secret_key"] == services["minio"]["environment"]["MINIO_ROOT_PASSWORD"]
    assert services["bucket"]["entrypoint"][-1].split("/")[1] == bucket["bucket_name"]


def test_a_worker_has_the_time_to_drain(names_asked: set[str]) -> None:
    grace = int(COMPOSE["services"]["worker"]["stop_grace_period"].removesuffix("s"))
    assert grace > environment.load().drain_seconds + 10


def test_what_is_copied_into_the_image_is_there_and_is_let_through() -> None:
    kept = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    for line in instructions("COPY"):
        if line.startswith("--from"):
            continue
        for source in line.split()[:-1]:
            assert (ROOT / source).exists(), source
            assert source == "." or any(fnmatch.fnmatch(source, name) for name in kept), source
    assert all((ROOT / name).exists() for name in kept)
    packages = {path.name for path in ROOT.iterdir() if (path / "__init__.py").exists()} - {"tests", "bench"}
    assert packages <= set(kept), "a package of ours does not get into the image"


def test_the_image_has_the_programs_that_the_demo_needs() -> None:
    wanted = re.findall(r'^need (?:"[^"]+"|\S+) (\S+)', (ROOT / "deploy/setup/system.sh").read_text(), re.MULTILINE)
    others = {"python3-venv", "nodejs", "npm", "redis-server"}  # in other stages, and a service of its own
    assert len(wanted) > len(others)
    last = DOCKERFILE.rpartition("\nFROM ")[2]
    assert not [name for name in set(wanted) - others if not re.search(rf"\s{re.escape(name)}\s", last)]
    assert instructions("USER") == ["10001"]


@pytest.fixture
def answering() -> Iterator[dict[str, Any]]:
    """A server that answers ``status`` and notes the Host it is asked by."""
    seen: dict[str, Any] = {"status": 200}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen["host"], seen["path"] = self.headers["Host"], self.path
            self.send_response(seen["status"])
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    seen["port"] = str(server.server_port)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield seen
    server.shutdown()
    server.server_close()


def health(port: str, hosts: str) -> int:
    env = {"PATH": os.environ["PATH"], "PORT": port, "ALLOWED_HOSTS": hosts}
    script = [sys.executable, str(ROOT / "deploy" / "healthcheck.py")]
    return subprocess.run(script, env=env, capture_output=True, check=False).returncode


@pytest.mark.parametrize(
    ("hosts", "asked"),
    [("media.example.com,x", "media.example.com"), (".example.com", "example.com"), ("*", "localhost")],
)
def test_the_health_check_asks_by_a_name_that_is_allowed(answering: dict[str, Any], hosts: str, asked: str) -> None:
    assert health(answering["port"], hosts) == 0
    assert (answering["host"], answering["path"]) == (asked, "/readyz")


def test_the_health_check_fails_with_the_server(answering: dict[str, Any]) -> None:
    answering["status"] = 503
    assert health(answering["port"], "") == 1
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        assert health(str(free.getsockname()[1]), "") == 1
