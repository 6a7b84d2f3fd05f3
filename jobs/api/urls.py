"""Addresses of jobs and of the server, below /api/v1/."""

from __future__ import annotations

from django.urls import path

from jobs.api import outputs, server, views

urlpatterns = [
    path("jobs", views.JobList.as_view(), name="jobs"),
    path("jobs/<uuid:job_id>", views.JobDetail.as_view(), name="job"),
    path("jobs/<uuid:job_id>/retry", views.JobRetryView.as_view(), name="job-retry"),
    path("jobs/<uuid:job_id>/events", outputs.JobEvents.as_view(), name="job-events"),
    path("jobs/<uuid:job_id>/stream", outputs.JobStream.as_view(), name="job-stream"),
    path("jobs/<uuid:job_id>/logs", outputs.JobLogs.as_view(), name="job-logs"),
    path("jobs/<uuid:job_id>/artifacts", outputs.JobArtifacts.as_view(), name="job-artifacts"),
    path(
        "jobs/<uuid:job_id>/artifacts/<uuid:artifact_id>/content",
        outputs.ArtifactContent.as_view(),
        name="job-artifact-content",
    ),
    path("jobs/<uuid:job_id>/segments", outputs.JobSegments.as_view(), name="job-segments"),
    path("jobs/<uuid:job_id>/segments/<str:language>", outputs.JobSegmentsIn.as_view(), name="job-segments-in"),
    path("jobs/<uuid:job_id>/playback", outputs.JobPlayback.as_view(), name="job-playback"),
    path("ws-tickets", server.Tickets.as_view(), name="ws-tickets"),
    path("stats", server.Stats.as_view(), name="stats"),
    path("providers", server.Providers.as_view(), name="providers"),
    path("languages", server.Languages.as_view(), name="languages"),
    path("voices", server.Voices.as_view(), name="voices"),
]
