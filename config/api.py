"""What all views of the API share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiResponse, inline_serializer
from rest_framework import serializers
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.permissions import IsAuthenticated
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api.permissions import MayAct
from accounts.models import User
from config.pages import KeysetPages
from config.problems import MEDIA_TYPE


class ApiView(APIView):
    """A view for signed-in users and programs."""

    permission_classes = (IsAuthenticated, MayAct)
    scope_resource = ""
    only_reads = False
    orderings: Sequence[str] = ("-created_at",)

    @property
    def user(self) -> User:
        """Who asks; permissions have seen to it that there is one."""
        assert isinstance(self.request.user, User)  # noqa: S101
        return self.request.user

    def page(self, rows: QuerySet[Any], render: Callable[[list[Any]], list[Any]]) -> Response:
        """One page of the rows."""
        pages = KeysetPages()
        found = pages.paginate_queryset(rows, self.request, view=self)
        return pages.get_paginated_response(render(found))


class FirstRenderer(DefaultContentNegotiation):
    """Answers what there is, whatever ``Accept`` says: a player asks for video/*, and errors are JSON."""

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        return renderers[0], renderers[0].media_type


class BinaryView(ApiView):
    """A view whose answers are not JSON."""

    content_negotiation_class = FirstRenderer


class FieldErrorSchema(serializers.Serializer[None]):
    """One fault; ``pointer`` is a JSON pointer into the body, or ``?name`` for a query parameter."""

    pointer = serializers.CharField(allow_blank=True)
    detail = serializers.CharField()


class ProblemSchema(serializers.Serializer[None]):
    """RFC 9457 problem details."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    instance = serializers.CharField()  # type: ignore[assignment]
    code = serializers.CharField()
    errors = FieldErrorSchema(many=True)  # type: ignore[assignment]
    request_id = serializers.CharField(allow_null=True)


REASONS = {
    400: "The request could not be read.",
    401: "Not signed in.",
    403: "Not allowed.",
    404: "There is no such object, or it is not yours.",
    409: "The state of things does not allow this.",
    413: "Too large.",
    422: "Understood, and cannot be carried out as it stands.",
    503: "Something that the server needs does not answer; see Retry-After.",
}


def problems(*statuses: int) -> dict[Any, OpenApiResponse]:
    """The problem answers of an operation, for its schema."""
    return {(status, MEDIA_TYPE): OpenApiResponse(ProblemSchema, description=REASONS[status]) for status in statuses}


def listed(name: str, item: type[serializers.Serializer[None]]) -> serializers.Serializer[Any]:
    """A page of ``item``, for a schema."""
    return inline_serializer(
        name,
        {
            "next": serializers.CharField(allow_null=True),
            "previous": serializers.CharField(allow_null=True),
            "results": item(many=True),
        },
    )
