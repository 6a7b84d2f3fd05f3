"""What a provider is: a class with an id, a version, a frozen Config, capabilities, ``load`` and one verb.

A provider must know HTTP or a process, never rows. It must raise ProviderUnavailable for what may pass,
ProviderFailed for an answer of no use, ProviderNotReady when a model or a program is missing (the message says how to
get it), and must stop its processes when it raises. ``load`` does the heavy imports, once a process; every verb may
be called without it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

from media_pipeline.segments import Word

ProviderKind = Literal["asr", "mt", "tts"]
Check = Callable[[], None]
"""Called every second or so while a provider works; raises when the work is to stop."""


def no_check() -> None:
    """For callers that never cancel."""


@dataclass(frozen=True, slots=True)
class Voice:
    """A voice of a tts provider. ``language`` is BCP 47."""

    id: str
    language: str
    name: str
    gender: Literal["female", "male", ""] = ""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a provider can do on this machine now.

    ``languages`` for asr and tts, ``pairs`` (source, target) for mt, both BCP 47 primary tags; ``speed``: slowest and
    fastest factor that tts takes. ``detects_language``: asr takes "auto". ``ready`` is False when a model or program
    is missing, and ``message`` then says how to get it.
    """

    languages: frozenset[str] = frozenset()
    pairs: frozenset[tuple[str, str]] = frozenset()
    voices: tuple[Voice, ...] = ()
    batch_size: int = 1
    speed: tuple[float, float] = (1.0, 1.0)
    detects_language: bool = False
    ready: bool = True
    message: str = ""


@dataclass(frozen=True, slots=True)
class ProviderConfig:
    """Base of every provider's own frozen Config. Fields with metadata ``secret=True`` are never shown."""


@dataclass(frozen=True, slots=True)
class Transcript:
    """Words with times in seconds from the start of the audio that was given; ``language`` as heard."""

    words: tuple[Word, ...]
    language: str


@dataclass(frozen=True, slots=True)
class Translation:
    """One translated text."""

    text: str
    score: float | None = None
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Line:
    """A text to be spoken. ``speed`` is relative to the voice's natural one."""

    text: str
    speed: float = 1.0


@dataclass(frozen=True, slots=True)
class TranslateHints:
    """What may help a translation; a provider takes what it can."""

    formality: Literal["default", "more", "less"] = "default"
    glossary: tuple[tuple[str, str], ...] = ()
    context: str = ""
    extra: dict[str, Any] = field(default_factory=dict)


class Provider(ABC):
    """What all providers share."""

    id: ClassVar[str]
    kind: ClassVar[ProviderKind]
    version: ClassVar[str]
    Config: ClassVar[type[ProviderConfig]] = ProviderConfig

    def __init__(self, config: ProviderConfig | None = None) -> None:
        self.config = config or self.Config()

    @abstractmethod
    def capabilities(self) -> Capabilities:
        """What it can do now. Must not load models and must answer within 100 ms after the first call."""

    def load(self) -> None:  # noqa: B027 - most have nothing to load
        """Import and load what is heavy. Raises ProviderNotReady."""

    def fingerprint(self) -> str:
        """What makes its output: version, and models or settings that change the result. Part of digests."""
        return self.version


class AsrProvider(Provider):
    """Speech recognition."""

    kind = "asr"

    @abstractmethod
    def transcribe(
        self, audio: Path, *, start: float, end: float, language: str, check: Check = no_check
    ) -> Transcript:
        """Recognise ``audio`` (16 kHz mono FLAC or WAV) from ``start`` to ``end`` seconds; times are of the file."""


class MtProvider(Provider):
    """Translation."""

    kind = "mt"

    @abstractmethod
    def translate(
        self,
        texts: Sequence[str],
        *,
        source: str,
        target: str,
        hints: TranslateHints | None = None,
        check: Check = no_check,
    ) -> tuple[Translation, ...]:
        """Translate a batch, in order: as many come back as went in."""


class TtsProvider(Provider):
    """Speech."""

    kind = "tts"

    @abstractmethod
    def synthesize(
        self, lines: Sequence[Line], *, language: str, voice: str, out: Path, check: Check = no_check
    ) -> tuple[Path, ...]:
        """Speak each line into its own mono 16-bit WAV below ``out``; leading and trailing silence is trimmed."""
