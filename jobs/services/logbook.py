"""Each job's log: one part for each try of a stage, joined under ``logs_key`` when the job ends."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator

import structlog

from assets import storage
from jobs.models import Job
from jobs.state import JOB_ENDED
from media_pipeline.errors import StorageUnavailable

LONGEST = 5_000
"""Lines kept of one try; a stage that writes more loses its oldest ones."""


class Logbook:
    """Gathers the lines that are written while one stage runs in this process."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._lock = threading.Lock()
        self._key = ""
        self._job = ""
        self._kept = 0

    def open(self, *, job_id: str, run_id: int, fence: int) -> None:
        """Begin the part of one try."""
        with self._lock:
            self._job, self._lines, self._kept = job_id, [], 0
            self._key = f"jobs/{job_id}/log/{run_id:012d}-{fence:06d}.jsonl"

    def add(self, line: str) -> None:
        """Keep a line, one JSON object, when it is of the job that is open; others pass by."""
        if not self._job or f'"{self._job}"' not in line:
            return
        with self._lock:
            self._lines.append(line)
            del self._lines[:-LONGEST]

    def flush(self) -> None:
        """Write the part; storage away is no reason to fail the stage."""
        with self._lock:
            lines, key = list(self._lines), self._key
        if not key or len(lines) == self._kept:
            return
        try:
            storage.put_bytes(key, ("\n".join(lines) + "\n").encode())
            self._kept = len(lines)
        except StorageUnavailable as error:
            structlog.get_logger(__name__).warning("logbook.not_kept", error=error.detail)

    def close(self) -> None:
        """Write the part and begin no other."""
        self.flush()
        with self._lock:
            self._job, self._key, self._lines = "", "", []


logbook = Logbook()
"""This process's."""


class LogbookHandler(logging.Handler):
    """Puts what this process logs into its logbook. Its formatter must make one JSON object a line."""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the record."""
        try:
            logbook.add(self.format(record))
        except Exception:  # as logging's own handlers do: a log line ends nobody's work
            self.handleError(record)


def job_log_lines(job: Job) -> Iterator[bytes]:
    """The job's log, line by line and oldest first, with the newlines."""
    if job.status in JOB_ENDED and storage.exists(job.logs_key):
        with storage.open_key(job.logs_key) as stream:
            yield from stream
        return
    yield from sorted_lines(job)


def sorted_lines(job: Job) -> list[bytes]:
    """All parts together, by time."""
    lines: list[bytes] = []
    for key in sorted(storage.walk(f"jobs/{job.pk}/log")):
        lines += storage.read_bytes(key).splitlines(keepends=True)
    return sorted(lines, key=_timestamp)


def _timestamp(line: bytes) -> str:
    try:
        return str(json.loads(line).get("timestamp", ""))
    except ValueError:
        return ""


def job_log_join(job: Job) -> None:
    """Write the whole log under the job's ``logs_key``."""
    storage.put_bytes(job.logs_key, b"".join(sorted_lines(job)))
