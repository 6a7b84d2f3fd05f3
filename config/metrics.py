"""``/metrics``: django-prometheus' own, and the engine's."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django_prometheus.exports import ExportToDjangoView
from django_rq.contrib.prometheus import RQCollector
from prometheus_client import REGISTRY

from jobs.metrics import EngineCollector

REGISTRY.register(EngineCollector())
REGISTRY.unregister(RQCollector.summary)  # registered by an import, and not named as Prometheus asks


def metrics(request: HttpRequest) -> HttpResponse:
    """Prometheus' text format."""
    found: HttpResponse = ExportToDjangoView(request)
    return found
