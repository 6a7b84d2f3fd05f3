"""The engine's metrics in Prometheus' form, the same whichever process is asked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import redis
import structlog
from django.db import DatabaseError
from django.db.models import Count, Min
from django.utils import timezone
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from jobs.metrics import counts
from jobs.models import Job, StageRun, WorkerProcess
from jobs.services.dispatch import QUEUES, WORKER_SEEN
from jobs.state import RunStatus

log = structlog.get_logger(__name__)


class EngineCollector:
    """Asked at every scrape. What cannot be read is left out of that scrape, and the log says so."""

    def describe(self) -> Iterable[Metric]:
        """Nothing: neither database nor Redis is asked while the process starts."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Counts of all processes, and how jobs, queues and workers stand."""
        counts.flush()
        try:
            yield from _counted(counts.read())
        except redis.RedisError as error:
            log.warning("metrics.redis_away", error=type(error).__name__)
        try:
            yield from (_jobs(), *_queues(), _workers())
        except DatabaseError as error:
            log.warning("metrics.database_away", error=type(error).__name__)


def _counted(found: dict[counts.Field, float]) -> Iterator[Metric]:
    for name, spec in counts.SPECS.items():
        mine = {(labels, part): value for (of, labels, part), value in found.items() if of == name}
        if not spec.buckets:
            counter = CounterMetricFamily(name, spec.help, labels=spec.labels)
            for (labels, _), value in sorted(mine.items()):
                counter.add_metric(labels, value)
            yield counter
            continue
        histogram = HistogramMetricFamily(name, spec.help, labels=spec.labels)
        for labels in sorted({labels for labels, _ in mine}):
            total, buckets = 0.0, []
            for edge in [*map(str, spec.buckets), "+Inf"]:
                total += mine.get((labels, edge), 0.0)
                buckets.append((edge, total))
            histogram.add_metric(labels, buckets, sum_value=mine.get((labels, "sum"), 0.0))
        yield histogram


def _jobs() -> Metric:
    jobs = GaugeMetricFamily("dragoman_jobs", "Jobs.", labels=("kind", "status"))
    for kind, status, n in Job.objects.values_list("kind", "status").annotate(n=Count("pk")).order_by():
        jobs.add_metric((kind, status), n)
    return jobs


def _queues() -> tuple[Metric, Metric]:
    now = timezone.now()
    waiting = (RunStatus.READY, RunStatus.DISPATCHED)
    rows = StageRun.objects.filter(status__in=waiting).values("queue").order_by()
    found = {row["queue"]: row for row in rows.annotate(n=Count("pk"), oldest=Min("ready_at"))}
    depth = GaugeMetricFamily("dragoman_queue_depth", "Runs that wait for a worker.", labels=("queue",))
    oldest = GaugeMetricFamily("dragoman_queue_oldest_seconds", "How long the oldest waits.", labels=("queue",))
    for queue in QUEUES:
        row = found.get(queue)
        depth.add_metric((queue,), row["n"] if row else 0)
        since = row["oldest"] if row and row["oldest"] else now
        oldest.add_metric((queue,), max(0.0, (now - since).total_seconds()))
    return depth, oldest


def _workers() -> Metric:
    workers = GaugeMetricFamily("dragoman_workers", "Living workers.", labels=("queue", "state"))
    alive = WorkerProcess.objects.filter(seen_at__gt=timezone.now() - WORKER_SEEN).values_list("queue").order_by()
    busy = dict(
        StageRun.objects.filter(status=RunStatus.RUNNING).values_list("queue").order_by().annotate(n=Count("pk"))
    )
    for queue, n in alive.annotate(n=Count("pk")):
        at_work = min(n, busy.get(queue, 0))
        workers.add_metric((queue, "busy"), at_work)
        workers.add_metric((queue, "idle"), n - at_work)
    return workers
