"""What a stage and a pipeline are, and what the office (whoever runs them) owes a stage.

A stage must be a class with the attributes of ``Stage`` and must not know rows, queues or HTTP. It reads inputs from
its context, writes files only below ``ctx.work``, calls ``ctx.progress`` and ``ctx.check_cancelled`` at least every
few seconds, and answers with a ``StageResult``. The same inputs and parameters must give the same outputs: the office
keeps them by digest and does not run a stage again whose output exists.

How data flows: a stage consumes and produces artifacts of a type. In a pipeline, A comes after B when B produces a
type that A consumes. Scopes say how many runs of a stage a job has: one (``JOB``), one per target language
(``TARGET``) or one per language of the result, the source included (``TRACK``). A run of scope JOB that consumes what
TARGET or TRACK runs produce gets all of them; a TARGET or TRACK run gets those of its own language, and those of JOB
runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

if TYPE_CHECKING:
    from media_pipeline.providers.router import ProviderRouter


class Queue(StrEnum):
    """Where work is done. One worker serves one queue."""

    CPU = "cpu"
    GPU = "gpu"
    IO = "io"
    CONTROL = "control"


class Scope(StrEnum):
    """How many runs of a stage a job has."""

    JOB = "job"
    TARGET = "target"
    TRACK = "track"


class ArtifactType(StrEnum):
    """What flows between stages. Edges of a pipeline are matched on these."""

    SOURCE_MEDIA = "source_media"  # the uploaded film or audio, as it came
    PROBE = "probe"  # probe.json: MediaInfo of the source
    SPEECH = "speech"  # speech.wav: 16 kHz mono, 16 bit, for recognition and voice activity
    VIDEO = "video"  # video.mp4: the film's video, where the source's own cannot be copied
    ORIGINAL = "original"  # original.m4a: the original sound, AAC-LC, as long as the film
    BED = "bed"  # bed.m4a|flac: the original sound, 48 kHz stereo, for mix
    SEGMENTS_SRC = "segments_src"  # segments_src.json
    SEGMENTS = "segments"  # segments.<lang>.json, as translated
    VOICE = "voice"  # voice lines of one shard: one FLAC with the lines end to end
    VOICE_INDEX = "voice_index"  # voice.<lang>.json: where each line stands in the VOICE files, with its Fit so far
    DUB = "dub"  # dub.<lang>.m4a
    DUBBED_SEGMENTS = "dubbed_segments"  # segments.<lang>.json again, with fits as placed
    SUBTITLES = "subtitles"  # subtitles.<lang>.vtt|srt|ttml
    HLS = "hls"  # hls/master.m3u8 and everything beside it
    MP4 = "mp4"  # <title>.mp4 with all tracks
    POSTER = "poster"  # poster.jpg
    PEAKS = "peaks"  # peaks.json
    QC = "qc"  # qc.json


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Full jitter between 0 and ``min(cap, base * 2**attempt)`` seconds; ``max_attempts`` counts the first."""

    max_attempts: int = 4
    base: float = 2.0
    cap: float = 300.0


@dataclass(frozen=True, slots=True)
class Deadline:
    """Wall-clock limit of one run: ``fixed`` seconds plus ``per_media_second`` for each second of media it handles."""

    fixed: float = 120.0
    per_media_second: float = 4.0

    def seconds(self, media_seconds: float) -> float:
        """The limit for this much media."""
        return self.fixed + self.per_media_second * media_seconds


@dataclass(frozen=True, slots=True)
class Shard:
    """One piece of a stage's work. ``index`` starts at 1; 0 is the whole stage (and the join of its shards).

    ``spec`` says what the piece is, in JSON values (``{"start": 0.0, "end": 31.2}``, ``{"from": 0, "to": 48}``).
    ``media_seconds`` is how much of the film it covers, for deadlines and ETA.
    """

    index: int
    spec: Mapping[str, Any]
    media_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class ShardRequest:
    """What a stage may know when it is asked for its shards: facts only, no files.

    ``facts`` maps the names of the stages before it to the facts they reported.
    """

    language: str
    params: Mapping[str, Any]
    facts: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class InputFile:
    """An artifact that a stage consumes, as a local file. Must not be changed."""

    name: str
    path: Path
    type: ArtifactType
    stage: str
    language: str
    shard: int
    sha256: str
    media_type: str


@dataclass(frozen=True, slots=True)
class Produced:
    """A file that a stage made, below ``ctx.work``.

    ``name`` is its fixed public name (``dub.es.m4a``, ``hls/master.m3u8``). ``public`` ones are listed by the API;
    the rest is for later stages only.
    """

    name: str
    path: Path
    type: ArtifactType
    media_type: str
    public: bool = True


@dataclass(frozen=True, slots=True)
class StageResult:
    """What a stage gives back.

    ``facts`` is a small JSON object kept on the row: later stages shard by it, the API shows parts of it. ``asr``
    reports ``language`` and ``segments``; ``extract`` reports ``windows`` (list of [start, end] seconds) and
    ``duration``. ``provider`` names who did the work, ``warnings`` are shown to the user, ``usage`` is summed over
    the job (``characters``, ``audio_seconds``, ``engine_ms``, ``cents``...).
    """

    artifacts: Sequence[Produced] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    provider: str = ""
    warnings: Sequence[str] = ()
    usage: Mapping[str, float] = field(default_factory=dict)


class PieceStore(Protocol):
    """Results for single segments, kept by digest across runs and jobs of one owner. Payloads are opaque bytes."""

    def get_many(self, digests: Sequence[str]) -> dict[str, bytes]:
        """Those that are known."""
        ...

    def put_many(self, pieces: Mapping[str, bytes]) -> None:
        """Keep; keeping the same digest twice is no error."""
        ...


class StageLog(Protocol):
    """A structlog logger bound to job, stage, language, shard, attempt and worker."""

    def info(self, event: str, **fields: Any) -> Any: ...
    def warning(self, event: str, **fields: Any) -> Any: ...


class StageContext(Protocol):
    """What the office gives a stage while it runs."""

    @property
    def job_id(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def language(self) -> str:
        """Language of this run; "" for scope JOB."""
        ...

    @property
    def source_language(self) -> str:
        """Known after asr; "auto" before, when the user did not say."""
        ...

    @property
    def target_languages(self) -> tuple[str, ...]: ...
    @property
    def shard(self) -> Shard | None:
        """None when the whole stage runs in one go or its shards are joined."""
        ...

    @property
    def params(self) -> Mapping[str, Any]: ...
    @property
    def work(self) -> Path:
        """A private folder, empty at the start, gone after the run."""
        ...

    @property
    def router(self) -> ProviderRouter: ...
    @property
    def pieces(self) -> PieceStore: ...
    @property
    def log(self) -> StageLog: ...

    def inputs(self, type: ArtifactType, *, language: str | None = None) -> tuple[InputFile, ...]:
        """Artifacts of that type made by stages before this one (or by the shards of this one, when joining),
        ordered by language and shard. Of a stage before that was cut, those of its join where there are any of that
        type, else those of its shards. ``language`` narrows."""
        ...

    def input(self, type: ArtifactType, *, language: str | None = None) -> InputFile:
        """The only one of that type. Raises ContractBroken when there is none or more than one."""
        ...

    def facts(self, stage: str) -> Mapping[str, Any]:
        """What an earlier stage (of this language, or of scope JOB) reported."""
        ...

    def shard_results(self) -> tuple[StageResult, ...]:
        """Facts, provider, warnings and usage of this stage's shards, in order; only while joining."""
        ...

    def progress(self, done: float, total: float, unit: str = "") -> None:
        """Cheap; the office throttles."""
        ...

    def check_cancelled(self) -> None:
        """Raises Cancelled or LeaseLost."""
        ...


@runtime_checkable
class Stage(Protocol):
    """One step of a pipeline. Instances are made once a worker and must keep no state between runs."""

    name: ClassVar[str]
    version: ClassVar[int]
    queue: ClassVar[Queue]
    scope: ClassVar[Scope]
    consumes: ClassVar[tuple[ArtifactType, ...]]
    optional: ClassVar[tuple[ArtifactType, ...]]
    produces: ClassVar[tuple[ArtifactType, ...]]
    uses: ClassVar[tuple[str, ...]]
    """Kinds of providers it calls: asr, mt, tts."""
    params: ClassVar[tuple[str, ...]]
    """Names of the job's params that change its output: part of the digest."""
    retry: ClassVar[RetryPolicy]
    deadline: ClassVar[Deadline]

    def shards(self, request: ShardRequest) -> tuple[Shard, ...]:
        """How the work is cut. One or none: the stage runs whole, and ``join`` is not called."""
        ...

    def run(self, ctx: StageContext) -> StageResult:
        """Do ``ctx.shard``, or the whole stage when it is None."""
        ...

    def join(self, ctx: StageContext) -> StageResult:
        """Make the stage's result from those of its shards."""
        ...


class BaseStage:
    """Defaults for a stage that is not cut."""

    version: ClassVar[int] = 1
    queue: ClassVar[Queue] = Queue.CPU
    scope: ClassVar[Scope] = Scope.JOB
    consumes: ClassVar[tuple[ArtifactType, ...]] = ()
    optional: ClassVar[tuple[ArtifactType, ...]] = ()
    produces: ClassVar[tuple[ArtifactType, ...]] = ()
    uses: ClassVar[tuple[str, ...]] = ()
    params: ClassVar[tuple[str, ...]] = ()
    retry: ClassVar[RetryPolicy] = RetryPolicy()
    deadline: ClassVar[Deadline] = Deadline()

    def shards(self, request: ShardRequest) -> tuple[Shard, ...]:
        """Not cut."""
        return ()

    def join(self, ctx: StageContext) -> StageResult:
        """Not cut, so there is nothing to join."""
        return StageResult()


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A kind of job: which stages it has and what it takes.

    ``accepts`` are the asset kinds it takes. ``params_model`` is the pydantic model of what stands under ``params``.
    Edges follow from what the stages consume and produce.
    """

    kind: str
    stages: tuple[str, ...]
    accepts: tuple[str, ...]
    params_model: type[Any]
    gates: tuple[str, ...] = ()
    """Stages after which a review may be asked for."""
