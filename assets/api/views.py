"""Assets over HTTP."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any, cast

from django.conf import settings
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from assets import delivery
from assets.api.schemas import AssetSchema, AssetUpload
from assets.errors import AssetInUse, AssetRejected, UploadTooLarge
from assets.models import Asset
from assets.selectors import asset_json, assets_visible_to
from assets.services.creation import ReceivedFile, asset_create, asset_delete
from assets.uploads import HashingUploadHandler
from config.api import ApiView, BinaryView, listed, problems
from config.idempotency import idempotent
from config.pages import KeysetPages
from config.problems import Problem

FORM_OVERHEAD = 64 * 1024


def asset_or_404(view: ApiView, asset_id: uuid.UUID) -> Asset:
    """The asset, if this user may see it."""
    asset = assets_visible_to(view.user).filter(pk=asset_id).first()
    if asset is None:
        raise Http404
    return asset


class AssetList(ApiView):
    """All assets."""

    scope_resource = "assets"
    parser_classes = (MultiPartParser,)
    orderings = ("-created_at", "created_at")
    pagination_class = KeysetPages

    def initialize_request(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Request:
        if request.method == "POST":
            request.upload_handlers = [HashingUploadHandler(request)]
        return super().initialize_request(request, *args, **kwargs)

    @extend_schema(
        operation_id="assets_list",
        tags=["assets"],
        responses={200: listed("AssetPage", AssetSchema), **problems(401, 422)},
    )
    def get(self, request: Request) -> Response:
        """A page of assets, newest first."""
        return self.page(assets_visible_to(self.user), lambda rows: [asset_json(row) for row in rows])

    @extend_schema(
        operation_id="assets_create",
        tags=["assets"],
        request={"multipart/form-data": AssetUpload},
        responses={201: AssetSchema, **problems(400, 401, 403, 409, 413, 422, 503)},
    )
    def post(self, request: Request) -> Response:
        """Upload a media file, in the field ``file``. It is probed at once and is ready to be worked on, or refused."""
        most = settings.DRAGOMAN["MAX_UPLOAD_BYTES"]
        if int(request.headers.get("Content-Length") or 0) > most + FORM_OVERHEAD:
            raise Problem(413, UploadTooLarge.code, f"This server takes files up to {most} bytes.")
        try:
            return self._create(request)
        except UploadTooLarge as error:
            raise Problem(413, error.code, error.detail) from error

    @idempotent
    def _create(self, request: Request) -> Response:
        form = AssetUpload(data=request.data)
        form.is_valid(raise_exception=True)
        file = form.validated_data["file"]
        received = ReceivedFile(Path(file.temporary_file_path()), file.name, file.size, file.sha256)
        try:
            asset = asset_create(owner=self.user, received=received, language=form.validated_data.get("language", ""))
        except AssetRejected as error:
            raise Problem(422, error.reason, error.detail, extra={"asset": str(error.asset_id)}) from error
        return Response(asset_json(asset), status=201, headers={"Location": f"/api/v1/assets/{asset.pk}"})


class AssetDetail(ApiView):
    """One asset."""

    scope_resource = "assets"

    @extend_schema(operation_id="assets_get", tags=["assets"], responses={200: AssetSchema, **problems(401, 404)})
    def get(self, request: Request, asset_id: uuid.UUID) -> Response:
        """The asset; a rejected one says why."""
        return Response(asset_json(asset_or_404(self, asset_id)))

    @extend_schema(
        operation_id="assets_delete",
        tags=["assets"],
        request=None,
        responses={204: None, **problems(401, 403, 404, 409)},
    )
    def delete(self, request: Request, asset_id: uuid.UUID) -> Response:
        """Remove the asset and its bytes."""
        asset = asset_or_404(self, asset_id)
        try:
            asset_delete(asset_id=asset.pk)
        except AssetInUse as error:
            raise Problem(409, error.code, error.detail) from error
        return Response(status=204)


class AssetContent(BinaryView):
    """The bytes of an asset."""

    scope_resource = "assets"

    @extend_schema(
        operation_id="assets_content",
        tags=["assets"],
        responses={
            (200, "application/octet-stream"): OpenApiTypes.BINARY,
            (206, "application/octet-stream"): OpenApiTypes.BINARY,
            **problems(401, 404, 503),
        },
    )
    def get(self, request: Request, asset_id: uuid.UUID) -> HttpResponseBase:
        """The file as it was uploaded; takes Range."""
        asset = asset_or_404(self, asset_id)
        if not asset.storage_key:
            raise Http404
        try:
            return delivery.send(
                cast(HttpRequest, request),
                asset.storage_key,
                media_type=asset.media_type,
                filename=asset.filename,
                etag=asset.sha256,
            )
        except FileNotFoundError as error:
            raise Http404 from error
