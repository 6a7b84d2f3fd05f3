"""Addresses of websockets."""

from __future__ import annotations

from django.urls import path

from jobs.realtime.consumers import JobsConsumer

urlpatterns = websocket_urlpatterns = [
    path("ws/jobs/", JobsConsumer.as_asgi()),
    path("ws/jobs/<uuid:job_id>/", JobsConsumer.as_asgi()),
]
