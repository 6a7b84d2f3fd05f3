"""What Prometheus may ask: counts that all processes share in Redis, and gauges read from the database."""

from jobs.metrics.counts import count_call, count_delivery, count_failure, count_stage, due, flush
from jobs.metrics.exposition import EngineCollector

__all__ = ["EngineCollector", "count_call", "count_delivery", "count_failure", "count_stage", "due", "flush"]
