"""What this server can do now, and how it fares; and tickets for websockets."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from redis.exceptions import RedisError
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from config.api import ApiView, problems
from config.problems import Problem
from jobs.api.schemas import StatsSchema, TicketSchema
from jobs.realtime.tickets import TTL, ticket_create
from jobs.selectors import job_counts, jobs_ended_since
from media_pipeline import registry

DAY = timedelta(hours=24)


class ProviderSchema(serializers.Serializer[None]):
    """A provider. When it is not ``ready``, ``message`` says what to do."""

    id = serializers.CharField()
    kind = serializers.ChoiceField(["asr", "mt", "tts"])
    version = serializers.CharField()
    ready = serializers.BooleanField()
    message = serializers.CharField(allow_blank=True)
    languages = serializers.ListField(child=serializers.CharField())
    pairs = serializers.ListField(child=serializers.ListField(child=serializers.CharField()))
    voices = serializers.IntegerField()


class ProvidersSchema(serializers.Serializer[None]):
    """All providers, in order of preference."""

    results = ProviderSchema(many=True)


class LanguagesSchema(serializers.Serializer[None]):
    """BCP 47 tags. ``translate`` are pairs [from, to]."""

    hear = serializers.ListField(child=serializers.CharField())
    speak = serializers.ListField(child=serializers.CharField())
    translate = serializers.ListField(child=serializers.ListField(child=serializers.CharField()))


class VoiceSchema(serializers.Serializer[None]):
    """A voice."""

    id = serializers.CharField()
    provider = serializers.CharField()
    language = serializers.CharField()
    name = serializers.CharField()
    gender = serializers.CharField(allow_blank=True)


class VoicesSchema(serializers.Serializer[None]):
    """Voices of providers that are ready."""

    results = VoiceSchema(many=True)


class Providers(ApiView):
    """Providers."""

    @extend_schema(operation_id="providers_list", tags=["server"], responses={200: ProvidersSchema, **problems(401)})
    def get(self, request: Request) -> Response:
        """All providers, ready or not."""
        found = [
            {
                "id": state.id,
                "kind": state.kind,
                "version": state.version,
                "ready": state.capabilities.ready,
                "message": state.capabilities.message,
                "languages": sorted(state.capabilities.languages),
                "pairs": sorted(state.capabilities.pairs),
                "voices": len(state.capabilities.voices),
            }
            for state in registry.router().states()
        ]
        return Response({"results": found})


class Languages(ApiView):
    """Languages."""

    @extend_schema(operation_id="languages_list", tags=["server"], responses={200: LanguagesSchema, **problems(401)})
    def get(self, request: Request) -> Response:
        """What this server can hear, translate and speak now."""
        router = registry.router()
        return Response(
            {
                "hear": sorted(router.languages("asr")),
                "speak": sorted(router.languages("tts")),
                "translate": sorted(router.pairs()),
            }
        )


class Voices(ApiView):
    """Voices."""

    @extend_schema(
        operation_id="voices_list",
        tags=["server"],
        parameters=[OpenApiParameter("language", str, description="Only voices of this language.")],
        responses={200: VoicesSchema, **problems(401)},
    )
    def get(self, request: Request) -> Response:
        """The voices there are."""
        wanted = request.query_params.get("language", "")
        found = [
            {
                "id": voice.id,
                "provider": state.id,
                "language": voice.language,
                "name": voice.name,
                "gender": voice.gender,
            }
            for state in registry.router().states()
            if state.capabilities.ready
            for voice in state.capabilities.voices
            if not wanted or voice.language == wanted or voice.language.startswith(f"{wanted}-")
        ]
        return Response({"results": found})


class Stats(ApiView):
    """Figures."""

    scope_resource = "jobs"

    @extend_schema(operation_id="stats_get", tags=["server"], responses={200: StatsSchema, **problems(401)})
    def get(self, request: Request) -> Response:
        """Counts by status and kind, and how long jobs of the last 24 hours waited and ran."""
        ended = jobs_ended_since(self.user, timezone.now() - DAY)
        waited = [(start - made).total_seconds() for made, start, _ in ended if start]
        ran = [(end - start).total_seconds() for _, start, end in ended if start]
        return Response(
            {
                **job_counts(self.user),
                "ended_last_24h": len(ended),
                "jobs_per_hour": round(len(ended) / 24, 2),
                "waiting_seconds": _spread(waited),
                "running_seconds": _spread(ran),
            }
        )


class Tickets(ApiView):
    """Tickets."""

    only_reads = True
    scope_resource = "jobs"

    @extend_schema(
        operation_id="ws_tickets_create",
        tags=["jobs"],
        request=None,
        responses={201: TicketSchema, **problems(401, 403, 503)},
    )
    def post(self, request: Request) -> Response:
        """A ticket that opens one websocket, once: ``/ws/jobs/{id}/?ticket=…``."""
        try:
            ticket = ticket_create(self.user.pk)
        except RedisError as error:
            detail = "Redis does not answer; try again."
            raise Problem(503, "unavailable", detail, headers={"Retry-After": "5"}) from error
        return Response({"ticket": ticket, "expires_in": TTL}, status=201, headers={"Cache-Control": "no-store"})


def _spread(seconds: Sequence[float]) -> dict[str, Any]:
    if not seconds:
        return {"mean": None, "p95": None}
    ordered = sorted(seconds)
    at = min(len(ordered) - 1, int(0.95 * len(ordered)))
    return {"mean": round(sum(ordered) / len(ordered), 3), "p95": round(ordered[at], 3)}
