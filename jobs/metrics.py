"""What Prometheus may ask: counts of this process, gathered from all of them, and gauges read from the database."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import Count, Min
from django.utils import timezone
from prometheus_client import Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric

from jobs.models import Job, StageRun, WorkerProcess
from jobs.services.dispatch import QUEUES, WORKER_SEEN
from jobs.state import RunStatus

BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)

STAGE_SECONDS = Histogram(
    "dragoman_stage_duration_seconds", "Time of a stage run.", ("pipeline", "stage", "provider"), buckets=BUCKETS
)
STAGE_RUNS = Counter("dragoman_stage_runs", "Stage runs that ended.", ("pipeline", "stage", "outcome"))
STAGE_FAILURES = Counter("dragoman_stage_failures", "Stage runs that failed, by reason.", ("stage", "code"))
EVENT_DELIVERY = Histogram(
    "dragoman_event_delivery_seconds",
    "From the commit of an event to the socket.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5),
)


class DatabaseCollector:
    """Gauges that are the same whichever process is asked."""

    def describe(self) -> Iterable[Metric]:
        """Nothing: the database is not asked while the process starts."""
        return []

    def collect(self) -> Iterable[Metric]:
        """Jobs by kind and status, depth and age of each queue, workers by state."""
        jobs = GaugeMetricFamily("dragoman_jobs", "Jobs.", labels=("kind", "status"))
        for kind, status, n in Job.objects.values_list("kind", "status").annotate(n=Count("pk")).order_by():
            jobs.add_metric((kind, status), n)
        yield jobs
        now = timezone.now()
        waiting = (RunStatus.READY, RunStatus.DISPATCHED)
        rows = StageRun.objects.filter(status__in=waiting).values("queue").order_by()
        depths = {row["queue"]: row for row in rows.annotate(n=Count("pk"), oldest=Min("ready_at"))}
        depth = GaugeMetricFamily("dragoman_queue_depth", "Runs that wait for a worker.", labels=("queue",))
        oldest = GaugeMetricFamily("dragoman_queue_oldest_seconds", "How long the oldest waits.", labels=("queue",))
        for queue in QUEUES:
            row = depths.get(queue)
            depth.add_metric((queue,), row["n"] if row else 0)
            since = row["oldest"] if row and row["oldest"] else now
            oldest.add_metric((queue,), max(0.0, (now - since).total_seconds()))
        yield depth
        yield oldest
        workers = GaugeMetricFamily("dragoman_workers", "Living workers.", labels=("queue", "state"))
        alive = WorkerProcess.objects.filter(seen_at__gt=now - WORKER_SEEN).values_list("queue").order_by()
        total = dict(alive.annotate(n=Count("pk")))
        busy_rows = StageRun.objects.filter(status=RunStatus.RUNNING).values_list("queue").order_by()
        busy = dict(busy_rows.annotate(n=Count("pk")))
        for queue, n in total.items():
            at_work = min(n, busy.get(queue, 0))
            workers.add_metric((queue, "busy"), at_work)
            workers.add_metric((queue, "idle"), n - at_work)
        yield workers
