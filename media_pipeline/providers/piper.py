"""Piper: neural voices, offline. GPL, so only as a program of its own; its voices are downloaded by the user."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from media_pipeline import languages
from media_pipeline.errors import ProviderFailed, ProviderNotReady, ToolFailed
from media_pipeline.providers.base import (
    Capabilities,
    Check,
    Line,
    ProviderConfig,
    TtsProvider,
    Voice,
    no_check,
)
from media_pipeline.tools.process import Limits, run

HOW_TO_GET = (
    "Piper is not set up: install it (pip install piper-tts), download a voice (.onnx and .onnx.json) and name its "
    "folder with DRAGOMAN_PIPER_VOICES."
)


@dataclass(frozen=True, slots=True)
class PiperConfig(ProviderConfig):
    """``executable``: the program; ``voices``: the folder of voices."""

    executable: str = "piper"
    voices: str = ""


class Piper(TtsProvider):
    """Speaks each line with its own length scale: the program takes one for a whole run."""

    id = "piper"
    version = "1"
    Config = PiperConfig
    config: PiperConfig

    def capabilities(self) -> Capabilities:
        found = self._voices()
        if not found or shutil.which(self.config.executable) is None:
            return Capabilities(ready=False, message=HOW_TO_GET)
        return Capabilities(
            languages=frozenset(languages.primary(voice.language) for voice in found),
            voices=found,
            batch_size=64,
            speed=(0.85, 1.5),
        )

    def synthesize(
        self, lines: Sequence[Line], *, language: str, voice: str, out: Path, check: Check = no_check
    ) -> tuple[Path, ...]:
        model = self._model(language, voice)
        return tuple(self._speak(line, model, out / f"line-{n:05d}.wav", check) for n, line in enumerate(lines))

    def _speak(self, line: Line, model: Path, path: Path, check: Check) -> Path:
        argv = [self.config.executable, "--model", str(model), "--output_file", str(path)]
        argv += ["--length_scale", f"{1 / line.speed:.3f}"]
        try:
            text = " ".join(line.text.split())  # a line break would end the utterance
            run(argv, stdin=text.encode(), limits=Limits(seconds=300, memory=None), check=check)
        except ToolFailed as error:
            raise ProviderFailed(f"Piper could not speak a line: {error.detail}") from error
        if not path.is_file():
            raise ProviderFailed("Piper wrote no file.")
        return path

    def _model(self, language: str, voice: str) -> Path:
        fitting = [v for v in self._voices() if languages.primary(v.language) == languages.primary(language)]
        chosen = next((v for v in fitting if v.id == voice), fitting[0] if fitting else None)
        if chosen is None:
            raise ProviderNotReady(f"Piper has no voice for {language}. {HOW_TO_GET}")
        return Path(self.config.voices) / f"{chosen.id}.onnx"

    def _voices(self) -> tuple[Voice, ...]:
        if not self.config.voices or not Path(self.config.voices).is_dir():
            return ()
        found = []
        for model in sorted(Path(self.config.voices).glob("*.onnx")):
            described = model.with_suffix(".onnx.json")
            if described.is_file():
                said = json.loads(described.read_text(encoding="utf-8"))
                code = said.get("language", {}).get("code") or model.stem.partition("-")[0]
                found.append(Voice(model.stem, languages.normalise(code), model.stem))
        return tuple(found)
