"""What jobs look like from outside, and what may be asked for."""

from __future__ import annotations

import json
from typing import Any

from rest_framework import serializers

from assets.api.schemas import AssetSchema
from jobs.state import AttemptOutcome, JobStatus, Priority, RunStatus

PRIORITIES = [choice.label for choice in Priority]


class JobStatusField(serializers.ChoiceField):
    """A status of a job."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(choices=JobStatus.choices, **kwargs)


class ShardsSchema(serializers.Serializer[None]):
    """Pieces of a stage."""

    done = serializers.IntegerField()
    total = serializers.IntegerField()


class StageSchema(serializers.Serializer[None]):
    """A stage in one language; ``language`` is null for stages of the whole job."""

    stage = serializers.CharField()
    language = serializers.CharField(allow_null=True)
    status = serializers.ChoiceField(RunStatus.choices)
    progress = serializers.FloatField()
    cached = serializers.BooleanField()
    attempts = serializers.IntegerField()
    shards = ShardsSchema(allow_null=True)
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)
    duration_seconds = serializers.FloatField(allow_null=True)
    provider = serializers.CharField(allow_null=True)


class AttemptErrorSchema(serializers.Serializer[None]):
    """Why an attempt failed."""

    code = serializers.CharField()
    text = serializers.CharField()


class AttemptSchema(serializers.Serializer[None]):
    """One try of a stage."""

    stage = serializers.CharField()
    language = serializers.CharField(allow_null=True)
    shard = serializers.IntegerField(allow_null=True)
    number = serializers.IntegerField()
    worker = serializers.CharField()
    started_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)
    outcome = serializers.ChoiceField(AttemptOutcome.choices)
    error = AttemptErrorSchema(allow_null=True)


class JobErrorSchema(serializers.Serializer[None]):
    """Why a job failed."""

    code = serializers.CharField()
    message = serializers.CharField()
    stage = serializers.CharField(allow_null=True)
    retryable = serializers.BooleanField()


class ThroughputSchema(serializers.Serializer[None]):
    """How fast the running stage is."""

    value = serializers.FloatField()
    unit = serializers.CharField()


class OwnerSchema(serializers.Serializer[None]):
    """Whose job it is."""

    id = serializers.UUIDField()
    email = serializers.EmailField()


class CostSchema(serializers.Serializer[None]):
    """Money, in the providers' currency."""

    estimated = serializers.FloatField(allow_null=True)
    actual = serializers.FloatField()


class ResultSchema(serializers.Serializer[None]):
    """What came out. ``duration`` is the film's, ``seconds`` the job's."""

    source_language = serializers.CharField()
    segments = serializers.IntegerField(allow_null=True)
    duration = serializers.FloatField(allow_null=True)
    seconds = serializers.FloatField(allow_null=True)
    playback = serializers.CharField()


class LinksSchema(serializers.Serializer[None]):
    """Where the rest is; ``playback`` is null until there is something to play."""

    self = serializers.CharField()
    stream = serializers.CharField()
    events = serializers.CharField()
    artifacts = serializers.CharField()
    playback = serializers.CharField(allow_null=True)


class JobSchema(serializers.Serializer[None]):
    """A job. ``progress`` is 0 to 100. ``history`` is empty in lists."""

    id = serializers.UUIDField()
    kind = serializers.CharField()
    title = serializers.CharField()
    status = JobStatusField()
    progress = serializers.FloatField()
    eta_seconds = serializers.FloatField(allow_null=True)
    throughput = ThroughputSchema(allow_null=True)
    priority = serializers.ChoiceField(PRIORITIES)
    owner = OwnerSchema()
    asset = AssetSchema(allow_null=True)
    source_language = serializers.CharField()
    target_languages = serializers.ListField(child=serializers.CharField())
    params = serializers.DictField()
    batch = serializers.UUIDField(allow_null=True)
    stages = StageSchema(many=True)
    history = AttemptSchema(many=True)
    error = JobErrorSchema(allow_null=True)
    warnings = serializers.ListField(child=serializers.CharField())
    result = ResultSchema(allow_null=True)
    available_outputs = serializers.ListField(child=serializers.CharField())
    logs_key = serializers.CharField(allow_null=True)
    metrics = serializers.DictField()
    cost = CostSchema()
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)
    links = LinksSchema()


class ParamsField(serializers.DictField):
    """An object. Refuses U+0000, which PostgreSQL's JSON cannot hold."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        found: dict[str, Any] = super().to_internal_value(data)
        if "\\u0000" in json.dumps(found):
            raise serializers.ValidationError("Null characters are not allowed.")
        return found


class JobCreate(serializers.Serializer[None]):
    """An order. What may stand under ``params`` depends on ``kind``."""

    kind = serializers.CharField(max_length=32)
    asset = serializers.UUIDField(allow_null=True, default=None)
    source_language = serializers.CharField(max_length=16, default="auto")
    target_languages = serializers.ListField(child=serializers.CharField(max_length=16), max_length=100)
    title = serializers.CharField(max_length=255, allow_blank=True, default="")
    priority = serializers.ChoiceField(PRIORITIES, default=Priority.NORMAL.label)
    params = ParamsField(default=dict)


class JobPatch(serializers.Serializer[None]):
    """What may be changed of a job."""

    title = serializers.CharField(max_length=255, required=False)
    priority = serializers.ChoiceField(PRIORITIES, required=False)


class JobRetry(serializers.Serializer[None]):
    """Without ``resume_from`` what is missing is done; with it, that stage and all that follow are done anew."""

    resume_from = serializers.CharField(max_length=32, required=False, allow_null=True)
    languages = serializers.ListField(child=serializers.CharField(max_length=16), required=False, allow_null=True)
    params = ParamsField(required=False, allow_null=True)


class JobListQuery(serializers.Serializer[None]):
    """Filters of a list; ``status`` and ``kind`` take several, by commas."""

    status = serializers.CharField(required=False)
    kind = serializers.CharField(required=False)
    language = serializers.CharField(required=False, max_length=16)
    q = serializers.CharField(required=False, max_length=200)
    created_after = serializers.DateTimeField(required=False)
    created_before = serializers.DateTimeField(required=False)

    def validate_status(self, value: str) -> list[str]:
        """A list of statuses that there are."""
        found = [part.strip() for part in value.split(",") if part.strip()]
        if wrong := sorted(set(found) - set(JobStatus.values)):
            raise serializers.ValidationError(
                f"There is no {', '.join(wrong)}; there are: {', '.join(JobStatus.values)}."
            )
        return found

    def validate_kind(self, value: str) -> list[str]:
        """A list."""
        return [part.strip() for part in value.split(",") if part.strip()]


class EventSchema(serializers.Serializer[None]):
    """What happened; ``seq`` is null for progress ticks, which are not kept."""

    seq = serializers.IntegerField(allow_null=True)
    type = serializers.CharField()
    job = serializers.UUIDField()
    at = serializers.DateTimeField()
    data = serializers.DictField()  # type: ignore[assignment]


class EventsSchema(serializers.Serializer[None]):
    """Events in order; ``next`` is null when these are all there are."""

    results = EventSchema(many=True)
    next = serializers.CharField(allow_null=True)


class ArtifactSchema(serializers.Serializer[None]):
    """A file that a job made."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    stage = serializers.CharField()
    language = serializers.CharField(allow_null=True)
    media_type = serializers.CharField()
    size = serializers.IntegerField()
    sha256 = serializers.CharField()
    created_at = serializers.DateTimeField()
    url = serializers.CharField()


class ArtifactsSchema(serializers.Serializer[None]):
    """All that a job made."""

    results = ArtifactSchema(many=True)


class SegmentsSchema(serializers.Serializer[None]):
    """Segments in one language; times are seconds from the start of the film."""

    language = serializers.CharField()
    segments = serializers.ListField(child=serializers.DictField())


class PlaybackSchema(serializers.Serializer[None]):
    """A signed address; whoever has it can play until ``expires_at``."""

    url = serializers.CharField()
    type = serializers.CharField()
    expires_at = serializers.DateTimeField()
    poster = serializers.CharField(allow_null=True)


class WaitSchema(serializers.Serializer[None]):
    """Seconds, over the jobs that ended in the last 24 hours; null when there was none."""

    mean = serializers.FloatField(allow_null=True)
    p95 = serializers.FloatField(allow_null=True)


class StatsSchema(serializers.Serializer[None]):
    """Counts of the jobs that one may see."""

    total = serializers.IntegerField()
    by_status = serializers.DictField(child=serializers.IntegerField())
    by_kind = serializers.DictField(child=serializers.IntegerField())
    ended_last_24h = serializers.IntegerField()
    jobs_per_hour = serializers.FloatField()
    waiting_seconds = WaitSchema()
    running_seconds = WaitSchema()


class TicketSchema(serializers.Serializer[None]):
    """Opens one websocket, once."""

    ticket = serializers.CharField()
    expires_in = serializers.IntegerField()
