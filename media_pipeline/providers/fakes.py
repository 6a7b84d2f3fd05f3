"""Providers that need no engine and always answer the same. For tests; never in ``defaults``."""

from __future__ import annotations

import wave
from collections.abc import Sequence
from pathlib import Path

from media_pipeline.errors import ProviderFailed, UnsupportedLanguage
from media_pipeline.providers.base import (
    AsrProvider,
    Capabilities,
    Check,
    Line,
    MtProvider,
    Transcript,
    TranslateHints,
    Translation,
    TtsProvider,
    Voice,
    no_check,
)
from media_pipeline.segments import Word

RATE = 16_000
WORD_SECONDS = 0.3


class FakeAsr(AsrProvider):
    """Hears "word one", "word two" … one every 0.3 s."""

    id = "fake_asr"
    version = "1"

    def capabilities(self) -> Capabilities:
        """English."""
        return Capabilities(languages=frozenset({"en"}))

    def transcribe(
        self, audio: Path, *, start: float, end: float, language: str, check: Check = no_check
    ) -> Transcript:
        check()
        if language not in {"en", "auto"}:
            raise UnsupportedLanguage(f"fake_asr hears en, not {language}.")
        if not audio.is_file():
            raise ProviderFailed("There is no such audio.")
        count = int((end - start) / WORD_SECONDS)
        words = (
            Word(start + n * WORD_SECONDS, start + (n + 1) * WORD_SECONDS, f"word{n + 1}", 0.9) for n in range(count)
        )
        return Transcript(tuple(words), "en")


class FakeMt(MtProvider):
    """Puts the target language before each text."""

    id = "fake_mt"
    version = "1"

    def capabilities(self) -> Capabilities:
        """English to Spanish and Catalan."""
        return Capabilities(pairs=frozenset({("en", "es"), ("en", "ca")}), batch_size=100)

    def translate(
        self,
        texts: Sequence[str],
        *,
        source: str,
        target: str,
        hints: TranslateHints | None = None,
        check: Check = no_check,
    ) -> tuple[Translation, ...]:
        check()
        if (source, target) not in self.capabilities().pairs:
            raise UnsupportedLanguage(f"fake_mt does en to es and ca, not {source} to {target}.")
        return tuple(Translation(f"{target}: {text}" if text.strip() else text) for text in texts)


class FakeTts(TtsProvider):
    """A tone of a tenth of a second a character."""

    id = "fake_tts"
    version = "1"

    def capabilities(self) -> Capabilities:
        """Spanish and Catalan."""
        voices = (Voice("fake-es", "es", "Fake"), Voice("fake-ca", "ca", "Fake"))
        return Capabilities(languages=frozenset({"es", "ca"}), voices=voices, speed=(0.5, 2.0))

    def synthesize(
        self, lines: Sequence[Line], *, language: str, voice: str, out: Path, check: Check = no_check
    ) -> tuple[Path, ...]:
        if language not in self.capabilities().languages:
            raise UnsupportedLanguage(f"fake_tts speaks es and ca, not {language}.")
        made = []
        for number, line in enumerate(lines):
            check()
            path = out / f"{number:04d}.wav"
            count = int(RATE * 0.1 * len(line.text.strip()) / line.speed)
            with wave.open(str(path), "wb") as stream:
                stream.setnchannels(1)
                stream.setsampwidth(2)
                stream.setframerate(RATE)
                stream.writeframes(b"".join((b"\x00\x20", b"\x00\xe0")[n // 20 % 2] for n in range(count)))
            made.append(path)
        return tuple(made)
