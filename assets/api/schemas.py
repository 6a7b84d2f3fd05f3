"""What assets look like from outside."""

from __future__ import annotations

from rest_framework import serializers

from assets.models import AssetKind, AssetStatus


class RejectionSchema(serializers.Serializer[None]):
    """Why a file was refused."""

    code = serializers.CharField()
    detail = serializers.CharField()


class StreamSchema(serializers.Serializer[None]):
    """One stream of a media file."""

    type = serializers.CharField()
    codec = serializers.CharField()
    width = serializers.IntegerField(required=False)
    height = serializers.IntegerField(required=False)
    fps = serializers.FloatField(required=False)
    channels = serializers.IntegerField(required=False)
    sample_rate = serializers.IntegerField(required=False)
    language = serializers.CharField(required=False)


class AssetSchema(serializers.Serializer[None]):
    """An uploaded file. ``duration`` is in seconds."""

    id = serializers.UUIDField()
    filename = serializers.CharField()
    kind = serializers.ChoiceField(AssetKind.choices)
    media_type = serializers.CharField()
    size = serializers.IntegerField()
    sha256 = serializers.CharField()
    duration = serializers.FloatField(allow_null=True)
    streams = StreamSchema(many=True)
    status = serializers.ChoiceField(AssetStatus.choices)
    rejection = RejectionSchema(allow_null=True)
    language = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()
    url = serializers.CharField(allow_null=True)


class AssetUpload(serializers.Serializer[None]):
    """A form with the file."""

    file = serializers.FileField(allow_empty_file=True, max_length=4096)
    language = serializers.RegexField(r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$", required=False, max_length=16)
