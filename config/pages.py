"""Cursor pages: ``{next, previous, results}`` and a ``Link`` header (RFC 8288).

Keyset, not OFFSET: a page costs the same wherever it lies. The cursor holds the order's value and the id of the row
at the edge.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Model, Q, QuerySet
from django.utils.encoding import force_str
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import remove_query_param, replace_query_param

from accounts.errors import FieldError
from config.problems import Problem

DEFAULT = 50
LARGEST = 200


class KeysetPages(BasePagination):
    """Pages by one field and the id. The view names the fields it allows in ``orderings``; the first is the default.

    Those fields must not be null.
    """

    next_link: str | None = None
    previous_link: str | None = None

    def paginate_queryset(
        self, queryset: QuerySet[Any] | Sequence[Any], request: Request, view: Any = None
    ) -> list[Any]:
        """The rows of the page that the request asks for. Raises Problem on a bad limit, order or cursor."""
        assert isinstance(queryset, QuerySet)  # noqa: S101  (keyset pages need a database)
        limit = self._limit(request)
        order = self._order(request, getattr(view, "orderings", ("-created_at",)))
        field, down = order.lstrip("-"), order.startswith("-")
        edge = self._edge(request, order)
        back = bool(edge and edge["back"])
        lower = down != back
        if edge is not None:
            try:
                queryset = queryset.filter(_beyond(field, edge["value"], edge["id"], lower))
            except (ValidationError, ValueError, TypeError) as error:
                raise _bad("cursor", "is not one of ours") from error
        sign = "-" if lower else ""
        rows = list(queryset.order_by(f"{sign}{field}", f"{sign}pk")[: limit + 1])
        more = len(rows) > limit
        rows = rows[:limit]
        if back:
            rows.reverse()
        self._link(request, order, field, rows, after=more or back, before=(more if back else edge is not None))
        return rows

    def get_paginated_response(self, data: Any) -> Response:
        """The page, with its neighbours."""
        links = [
            f'<{url}>; rel="{rel}"' for rel, url in (("next", self.next_link), ("prev", self.previous_link)) if url
        ]
        headers = {"Link": ", ".join(links)} if links else {}
        return Response({"next": self.next_link, "previous": self.previous_link, "results": data}, headers=headers)

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        """How the schema shows a page."""
        link = {"type": ["string", "null"], "format": "uri"}
        return {
            "type": "object",
            "required": ["next", "previous", "results"],
            "properties": {"next": link, "previous": link, "results": schema},
        }

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        """How the schema shows what a page is asked for with."""
        orderings = list(getattr(view, "orderings", ("-created_at",)))
        return [
            {
                "name": "cursor",
                "in": "query",
                "schema": {"type": "string"},
                "description": "From `next` or `previous`.",
            },
            {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": LARGEST}},
            {"name": "ordering", "in": "query", "schema": {"type": "string", "enum": orderings}},
        ]

    def _limit(self, request: Request) -> int:
        raw = request.query_params.get("limit", str(DEFAULT))
        if not raw.isdecimal() or not 1 <= int(raw) <= LARGEST:
            raise _bad("limit", f"must be 1 to {LARGEST}")
        return int(raw)

    def _order(self, request: Request, allowed: Sequence[str]) -> str:
        order = request.query_params.get("ordering") or allowed[0]
        if order not in allowed:
            raise _bad("ordering", f"can be one of: {', '.join(allowed)}")
        return order

    def _edge(self, request: Request, order: str) -> dict[str, Any] | None:
        raw = request.query_params.get("cursor")
        if not raw:
            return None
        try:
            found = json.loads(base64.urlsafe_b64decode(raw + "=" * (-len(raw) % 4)))
            edge = {"value": found["v"], "id": str(found["i"]), "back": bool(found["b"])}
            if found["o"] != order or "\0" in str(edge):
                raise ValueError(order)
        except (binascii.Error, ValueError, KeyError, TypeError) as error:
            raise _bad("cursor", "is not one of ours, or is of another order") from error
        return edge

    def _link(self, request: Request, order: str, field: str, rows: list[Model], *, after: bool, before: bool) -> None:
        url = request.build_absolute_uri()
        if not rows:
            self.previous_link = remove_query_param(url, "cursor") if before else None
            return
        if after:
            self.next_link = replace_query_param(url, "cursor", _cursor(rows[-1], order, field, back=False))
        if before:
            self.previous_link = replace_query_param(url, "cursor", _cursor(rows[0], order, field, back=True))


def _cursor(row: Model, order: str, field: str, *, back: bool) -> str:
    value = getattr(row, field)
    value = value.isoformat() if isinstance(value, datetime) else value
    packed = json.dumps({"o": order, "v": value, "i": str(row.pk), "b": int(back)}, separators=(",", ":"))
    return force_str(base64.urlsafe_b64encode(packed.encode())).rstrip("=")


def _beyond(field: str, value: Any, id: str, lower: bool) -> Q:
    """Rows past the edge; the first condition lets an index on ``field`` find the place."""
    sign = "lt" if lower else "gt"
    return Q(**{f"{field}__{sign}e": value}) & (
        Q(**{f"{field}__{sign}": value}) | Q(**{field: value, f"pk__{sign}": id})
    )


def _bad(name: str, detail: str) -> Problem:
    return Problem(422, "invalid_query", f"{name} {detail}.", errors=[FieldError(f"?{name}", detail)])
