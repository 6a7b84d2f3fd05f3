"""What a job says and makes: events, stream, logs, artifacts, segments, playback."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Iterator
from typing import Any, cast

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.errors import FieldError
from assets import delivery, storage
from config.api import BinaryView, problems
from config.problems import Problem
from jobs.api.schemas import ArtifactsSchema, EventsSchema, PlaybackSchema, SegmentsSchema
from jobs.api.views import JobView, job_or_404
from jobs.models import Artifact, Job
from jobs.models.stage_run import WHOLE
from jobs.realtime.stream import event_stream
from jobs.selectors import HLS_MASTER, artifact_json, artifact_named, artifacts_listed, events_after
from jobs.services.logbook import job_log_lines
from jobs.services.transitions import event_json
from jobs.state import JOB_ENDED

MOST_EVENTS = 1000
AFTER = OpenApiParameter("after", int, description="Only events with a higher seq.")
LIMIT = OpenApiParameter("limit", int, description=f"1 to {MOST_EVENTS}; 100 when not given.")


def number(request: Request, name: str, default: int, *, least: int, most: int = 2**62) -> int:
    """A whole number of the query. Raises Problem 422."""
    raw = request.query_params.get(name, str(default))
    if not (raw.isascii() and raw.isdecimal() and len(raw) < 20 and least <= int(raw) <= most):
        raise Problem(
            422, "invalid_query", f"{name} is not valid.", errors=[FieldError(f"?{name}", f"{least} to {most}")]
        )
    return int(raw)


class JobEvents(JobView):
    """Events, by pages."""

    @extend_schema(
        operation_id="jobs_events",
        tags=["jobs"],
        parameters=[AFTER, LIMIT],
        responses={200: EventsSchema, **problems(401, 404, 422)},
    )
    def get(self, request: Request, job_id: uuid.UUID) -> Response:
        """What happened after a seq, in order."""
        job = job_or_404(self, job_id)
        limit = number(request, "limit", 100, least=1, most=MOST_EVENTS)
        rows = events_after(job.pk, number(request, "after", 0, least=0), limit + 1)
        more = len(rows) > limit
        rows = rows[:limit]
        url = f"{request.path}?after={rows[-1].seq}&limit={limit}" if more else None
        headers = {"Link": f'<{url}>; rel="next"'} if url else None
        return Response({"results": [event_json(row) for row in rows], "next": url}, headers=headers)


class JobStream(JobView, BinaryView):
    """Events as they happen."""

    @extend_schema(
        operation_id="jobs_stream",
        tags=["jobs"],
        parameters=[AFTER, OpenApiParameter("Last-Event-ID", int, OpenApiParameter.HEADER)],
        responses={(200, "text/event-stream"): OpenApiTypes.STR, 204: None, **problems(401, 404, 422)},
    )
    def get(self, request: Request, job_id: uuid.UUID) -> HttpResponseBase:
        """Server-sent events: all after ``Last-Event-ID`` or ``after``, then live ones, until the job has ended.

        204 when there is nothing more to come: browsers stop asking then.
        """
        job = job_or_404(self, job_id)
        after = number(request, "after", 0, least=0)
        last = request.headers.get("Last-Event-ID", "")
        if last.isascii() and last.isdecimal() and len(last) < 19:
            after = int(last)
        if job.status in JOB_ENDED and after >= job.event_seq:
            return HttpResponse(status=204)
        return StreamingHttpResponse(
            event_stream(job.pk, after),
            content_type="text/event-stream",
            headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"},
        )


class JobLogs(JobView, BinaryView):
    """The log of a job."""

    @extend_schema(
        operation_id="jobs_logs",
        tags=["jobs"],
        responses={(200, "application/jsonl"): OpenApiTypes.STR, **problems(401, 404, 503)},
    )
    def get(self, request: Request, job_id: uuid.UUID) -> HttpResponseBase:
        """One JSON object a line."""
        lines = job_log_lines(job_or_404(self, job_id))
        first = next(lines, b"")
        return StreamingHttpResponse(
            _aside(first, lines), content_type="application/jsonl", headers={"Cache-Control": "no-store"}
        )


class JobArtifacts(JobView):
    """What a job made."""

    @extend_schema(operation_id="jobs_artifacts", tags=["jobs"], responses={200: ArtifactsSchema, **problems(401, 404)})
    def get(self, request: Request, job_id: uuid.UUID) -> Response:
        """All files, in the order of the stages that made them."""
        return Response({"results": [artifact_json(row) for row in artifacts_listed(job_or_404(self, job_id))]})


class ArtifactContent(JobView, BinaryView):
    """The bytes of an artifact."""

    @extend_schema(
        operation_id="jobs_artifact_content",
        tags=["jobs"],
        responses={
            (200, "application/octet-stream"): OpenApiTypes.BINARY,
            (206, "application/octet-stream"): OpenApiTypes.BINARY,
            **problems(401, 404, 503),
        },
    )
    def get(self, request: Request, job_id: uuid.UUID, artifact_id: uuid.UUID) -> HttpResponseBase:
        """The file, as a download; takes Range."""
        job = job_or_404(self, job_id)
        artifact = Artifact.objects.filter(job=job, pk=artifact_id, public=True, shard=WHOLE).first()
        if artifact is None:
            raise Http404
        try:
            return delivery.send(
                cast(HttpRequest, request),
                artifact.storage_key,
                media_type=artifact.media_type,
                filename=artifact.name.rpartition("/")[2],
                etag=artifact.sha256,
            )
        except FileNotFoundError as error:
            raise Http404 from error


class JobSegments(JobView):
    """What was said."""

    @extend_schema(
        operation_id="jobs_segments", tags=["jobs"], responses={200: SegmentsSchema, **problems(401, 404, 503)}
    )
    def get(self, request: Request, job_id: uuid.UUID) -> Response:
        """The segments of the source."""
        return _segments(job_or_404(self, job_id), "segments_src.json")


class JobSegmentsIn(JobView):
    """What became of it."""

    @extend_schema(
        operation_id="jobs_segments_in", tags=["jobs"], responses={200: SegmentsSchema, **problems(401, 404, 503)}
    )
    def get(self, request: Request, job_id: uuid.UUID, language: str) -> Response:
        """The segments in one of the target languages."""
        if not language.isprintable():  # PostgreSQL takes no NUL
            raise Http404
        return _segments(job_or_404(self, job_id), f"segments.{language}.json")


class JobPlayback(JobView):
    """An address to play."""

    @extend_schema(
        operation_id="jobs_playback", tags=["jobs"], responses={200: PlaybackSchema, **problems(401, 404, 409)}
    )
    def get(self, request: Request, job_id: uuid.UUID) -> Response:
        """A signed, short-lived address of the HLS master."""
        job = job_or_404(self, job_id)
        master = artifact_named(job, HLS_MASTER)
        if master is None:
            raise Problem(409, "not_playable", f"There is nothing to play yet; the job is {job.status}.")
        signed = delivery.sign(master.storage_key, ttl=settings.DRAGOMAN["PLAYBACK_TTL"])
        poster = artifact_named(job, "poster.jpg")
        body = {
            "url": signed.path,
            "type": master.media_type,
            "expires_at": signed.expires_at,
            "poster": artifact_json(poster)["url"] if poster else None,
        }
        return Response(body, headers={"Cache-Control": "no-store"})


def _segments(job: Job, name: str) -> Response:
    artifact = artifact_named(job, name)
    if artifact is None:
        raise Http404
    found: dict[str, Any] = json.loads(storage.read_bytes(artifact.storage_key))
    return Response(found, headers={"ETag": f'"{artifact.sha256}"'})


async def _aside(first: bytes, lines: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Read in a thread what is read block by block."""
    yield first
    while batch := await asyncio.to_thread(_take, lines):
        yield batch


def _take(lines: Iterator[bytes]) -> bytes:
    return b"".join(line for _, line in zip(range(500), lines, strict=False))
