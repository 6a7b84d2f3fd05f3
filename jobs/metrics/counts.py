"""Counts kept in Redis, so that any process on any machine shows what all of them did.

One hash; a field names a metric, its labels and, for histograms, the bucket. A process adds up what it counted and
sends the sum once a stage: Redis away costs nothing, the sum waits for the next time. A flushed Redis begins at zero
again, as a restarted process would, which Prometheus knows as a counter reset.
"""

from __future__ import annotations

import json
import threading
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import redis
import structlog

from jobs.realtime.publish import client
from media_pipeline.providers.calls import OK, Call

KEY = "dragoman:metrics:1"
"""Its number changes with the buckets."""
FLUSH_SECONDS = 5.0
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Spec:
    """A metric: its help, its labels, and its buckets when it is a histogram."""

    help: str
    labels: tuple[str, ...]
    buckets: tuple[float, ...] = ()


STAGE_SECONDS = "dragoman_stage_duration_seconds"
STAGE_RUNS = "dragoman_stage_runs"
STAGE_FAILURES = "dragoman_stage_failures"
PROVIDER_REQUESTS = "dragoman_provider_requests"
PROVIDER_SECONDS = "dragoman_provider_latency_seconds"
DELIVERY_SECONDS = "dragoman_event_delivery_seconds"
SPECS: Mapping[str, Spec] = {
    STAGE_SECONDS: Spec(
        "Seconds that a stage run took.",
        ("pipeline", "stage", "provider"),
        (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600),
    ),
    STAGE_RUNS: Spec("Stage runs that ended.", ("pipeline", "stage", "provider", "outcome")),
    STAGE_FAILURES: Spec("Stage runs that failed, by reason.", ("stage", "code")),
    PROVIDER_REQUESTS: Spec("Calls of providers.", ("provider", "kind", "outcome")),
    PROVIDER_SECONDS: Spec(
        "Seconds that a provider took for a call that succeeded.",
        ("provider", "kind"),
        (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600),
    ),
    DELIVERY_SECONDS: Spec(
        "Seconds from an event to its being sent to a listener that was waiting for it.",
        ("type",),
        (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
    ),
}

Field = tuple[str, tuple[str, ...], str]
"""Metric, values of its labels, and "" for a counter; "sum" or the bucket's edge for a histogram."""

_waiting: dict[Field, float] = defaultdict(float)
_flushed = [0.0]
_lock = threading.Lock()


def count_stage(*, pipeline: str, stage: str, provider: str, outcome: str, seconds: float) -> None:
    """A stage run has ended; its time counts when it succeeded."""
    _add(STAGE_RUNS, (pipeline, stage, provider, outcome))
    if outcome == "succeeded":
        _observe(STAGE_SECONDS, (pipeline, stage, provider), seconds)


def count_failure(*, stage: str, code: str) -> None:
    """A stage run failed for this reason."""
    _add(STAGE_FAILURES, (stage, code))


def count_call(call: Call) -> None:
    """A provider was called."""
    _add(PROVIDER_REQUESTS, (call.provider, call.kind, call.outcome))
    if call.outcome == OK:
        _observe(PROVIDER_SECONDS, (call.provider, call.kind), call.seconds)


def count_delivery(*, type: str, seconds: float) -> None:
    """A live event was sent to a listener so long after it happened."""
    _observe(DELIVERY_SECONDS, (type,), max(0.0, seconds))


def due() -> bool:
    """Whether something has waited for long enough to be sent: for processes that have no better moment."""
    return bool(_waiting) and time.monotonic() - _flushed[0] > FLUSH_SECONDS


def flush() -> None:
    """Send what waits."""
    with _lock:
        _flushed[0] = time.monotonic()
        sums = dict(_waiting)
        _waiting.clear()
    if not sums:
        return
    try:
        with client().pipeline(transaction=False) as pipe:
            for field, value in sums.items():
                pipe.hincrbyfloat(KEY, json.dumps(field), value)
            pipe.execute()
    except redis.RedisError as error:
        with _lock:
            for field, value in sums.items():
                _waiting[field] += value
        log.debug("metrics.redis_away", error=type(error).__name__)


def read() -> dict[Field, float]:
    """All counts. Raises redis.RedisError."""
    found: dict[Field, float] = {}
    for raw, value in client().hgetall(KEY).items():
        name, labels, part = json.loads(raw)
        if name not in SPECS or len(labels) != len(SPECS[name].labels):
            continue  # of another version of this program, while one takes the place of the other
        found[name, tuple(labels), part] = float(value)
    return found


def _add(name: str, labels: Sequence[str], value: float = 1.0, part: str = "") -> None:
    with _lock:
        _waiting[name, tuple(labels), part] += value


def _observe(name: str, labels: Sequence[str], value: float) -> None:
    edge = next((str(edge) for edge in SPECS[name].buckets if value <= edge), "+Inf")
    _add(name, labels, 1.0, edge)
    _add(name, labels, value, "sum")
