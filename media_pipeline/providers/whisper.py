"""Whisper by faster-whisper: a hundred languages, offline, with a model that the user downloads."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from media_pipeline import languages
from media_pipeline.errors import ProviderNotReady
from media_pipeline.providers.base import (
    AsrProvider,
    Capabilities,
    Check,
    ProviderConfig,
    Transcript,
    no_check,
)
from media_pipeline.segments import Word
from media_pipeline.tools import pcm

RATE = 16_000
HOW_TO_GET = (
    "Whisper is not set up: pip install faster-whisper, download a model in CTranslate2's format (model.bin, "
    "config.json, tokenizer.json) and name its folder with DRAGOMAN_WHISPER_MODEL."
)


@dataclass(frozen=True, slots=True)
class WhisperConfig(ProviderConfig):
    """``model``: folder of a model; ``device``: auto, cpu or cuda; ``compute_type``: int8, float16…"""

    model: str = ""
    device: str = "auto"
    compute_type: str = "int8"


class Whisper(AsrProvider):
    """Never downloads anything by itself."""

    id = "whisper"
    version = "1"
    Config = WhisperConfig
    config: WhisperConfig

    def __init__(self, config: ProviderConfig | None = None) -> None:
        super().__init__(config)
        self._model: Any = None

    def capabilities(self) -> Capabilities:
        there = self.config.model and (Path(self.config.model) / "model.bin").is_file()
        if not there or importlib.util.find_spec("faster_whisper") is None:
            return Capabilities(ready=False, message=HOW_TO_GET)
        known = frozenset(language.code for language in languages.all_languages())
        return Capabilities(languages=known, detects_language=True)

    def fingerprint(self) -> str:
        return f"{self.version}:{Path(self.config.model).name}:{self.config.compute_type}"

    def load(self) -> None:
        if self._model is not None:
            return
        if not self.capabilities().ready:
            raise ProviderNotReady(HOW_TO_GET)
        from faster_whisper import WhisperModel

        self._model = WhisperModel(
            self.config.model,
            device=self.config.device,
            compute_type=self.config.compute_type,
            local_files_only=True,
        )

    def transcribe(
        self, audio: Path, *, start: float, end: float, language: str, check: Check = no_check
    ) -> Transcript:
        self.load()
        samples = pcm.read(audio, rate=RATE, start=start, end=end, check=check)
        segments, info = self._model.transcribe(
            samples,
            language=None if language == "auto" else languages.primary(language),
            word_timestamps=True,
            condition_on_previous_text=False,
        )
        words: list[Word] = []
        for segment in segments:  # a generator: recognition happens here
            check()
            words += [
                Word(start + word.start, start + word.end, word.word.strip(), float(word.probability))
                for word in segment.words or ()
            ]
        return Transcript(tuple(words), str(info.language))
