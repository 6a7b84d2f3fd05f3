"""An S3 server over HTTP for tests: moto's, behind a door that can be told to answer with errors."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import boto3
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

BUCKET = "media"
Start = Callable[..., Any]


@dataclass
class Door:
    """Counts what passes; refuses with 500 the methods in ``closed_to`` ("*": all)."""

    inner: Any
    closed_to: set[str] = field(default_factory=set)
    ranges: list[str] = field(default_factory=list)

    def __call__(self, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] in self.closed_to or "*" in self.closed_to:
            body = b"<Error><Code>InternalError</Code><Message>We met an internal error.</Message></Error>"
            start("500 Internal Server Error", [("Content-Type", "application/xml")])
            return [body]
        if asked := environ.get("HTTP_RANGE"):
            self.ranges.append(asked)
        answered: Iterable[bytes] = self.inner(environ, start)
        return answered


@dataclass(frozen=True)
class ObjectServer:
    """``url`` is a STORAGE_URL for one prefix of a bucket on it."""

    url: str
    door: Door
    bucket: Any

    def names(self) -> set[str]:
        """Of all objects."""
        return {item.key for item in self.bucket.objects.all()}


class Quiet(WSGIRequestHandler):
    """Logs nothing."""

    def log(self, *args: Any) -> None:
        pass


@contextmanager
def object_server() -> Iterator[ObjectServer]:
    """Serves on a free port until the block ends."""
    door = Door(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, door, threaded=True, request_handler=Quiet)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    endpoint = f"http://127.0.0.1:{server.server_port}"
    resource = boto3.resource(
        "s3", endpoint_url=endpoint, aws_access_key_id="key", aws_secret_access_key="secret", region_name="us-east-1"
    )
    bucket = resource.create_bucket(Bucket=BUCKET)
    try:
        yield ObjectServer(f"s3://key:secret@{BUCKET}/dragoman?endpoint_url={endpoint}", door, bucket)
    finally:
        bucket.objects.all().delete()
        bucket.delete()  # moto keeps its buckets as long as the process
        server.shutdown()
        server.server_close()
        thread.join(5)
