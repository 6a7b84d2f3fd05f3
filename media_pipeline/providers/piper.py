"""Piper: neural voices, offline. GPL, so never imported: only as a program in a process of its own, where the user has
installed it, with voices that the user has downloaded."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from media_pipeline import languages
from media_pipeline.errors import ProviderFailed, ProviderNotReady, ToolFailed, ToolTimedOut, UnsupportedLanguage
from media_pipeline.providers.base import Capabilities, Check, Line, ProviderConfig, TtsProvider, Voice, no_check
from media_pipeline.tools.audio import EMPTY, read_wav, trimmed, write_wav
from media_pipeline.tools.process import Limits, run
from media_pipeline.tools.speech_text import plain, speakable

HOW_TO_GET = (
    "Piper is not installed. Install it with: pip install piper-tts (GPL-3.0; it runs in a process of its own), or "
    "name its program with DRAGOMAN_PIPER_EXECUTABLE."
)
HOW_TO_GET_A_VOICE = (
    "Piper has no voice. Download one with: python -m piper.download_voices es_ES-davefx-medium --download-dir FOLDER, "
    "and name the folder with DRAGOMAN_PIPER_VOICES_DIR."
)
SLOWEST, FASTEST = 0.85, 1.5
SILENT_RATE = 22050
LIMITS = Limits(seconds=1800, memory=None)
"""A neural model maps more address space than it uses."""


@dataclass(frozen=True, slots=True)
class PiperConfig(ProviderConfig):
    """``voices_dir``: where ``<voice>.onnx`` and ``<voice>.onnx.json`` are; ``executable``: "" finds ``piper`` on PATH,
    then ``python -m piper``."""

    voices_dir: str = ""
    executable: str = ""


class Piper(TtsProvider):
    """One process for all lines of the same speed: it loads its model once and writes one WAV a line."""

    id = "piper"
    version = "2"
    Config = PiperConfig
    config: PiperConfig

    def capabilities(self) -> Capabilities:
        if not self._command():
            return Capabilities(ready=False, message=HOW_TO_GET)
        voices = self._voices()
        if not voices:
            return Capabilities(ready=False, message=HOW_TO_GET_A_VOICE)
        tags = {voice.language for voice in voices}
        return Capabilities(
            languages=frozenset(tags | {languages.primary(tag) for tag in tags}),
            voices=voices,
            batch_size=64,
            speed=(SLOWEST, FASTEST),
        )

    def fingerprint(self) -> str:
        """With the size and age of each model: another file under the same name speaks otherwise."""
        models = [(path.stem, path.stat().st_size, int(path.stat().st_mtime)) for path in self._models()]
        return f"{self.version}:{models}"

    def synthesize(
        self, lines: Sequence[Line], *, language: str, voice: str, out: Path, check: Check = no_check
    ) -> tuple[Path, ...]:
        """See ``TtsProvider``. ``voice`` is the name of a model, with ``#speaker`` where it has several; "" is the
        first of the language. Raises UnsupportedLanguage for a language or voice that there is not."""
        command = self._command()
        if not command:
            raise ProviderNotReady(HOW_TO_GET)
        model, speaker = self._model(language, voice)
        paths = tuple(out / f"line-{index:05d}.wav" for index in range(len(lines)))
        groups: dict[float, list[tuple[Path, str]]] = {}
        for path, line in zip(paths, lines, strict=True):
            text = plain(line.text)
            if speakable(text):
                speed = min(FASTEST, max(SLOWEST, round(line.speed, 3)))
                groups.setdefault(speed, []).append((path, text))
            else:
                write_wav(path, EMPTY, SILENT_RATE)
        for speed, spoken in groups.items():
            argv = [*command, "--model", str(model), "--length_scale", f"{1 / speed:.4f}"]
            argv += ["--speaker", str(speaker)] if speaker is not None else []
            _speak(argv, spoken, out / "piper", check)
        return paths

    def _command(self) -> tuple[str, ...]:
        if self.config.executable:
            return (self.config.executable,) if shutil.which(self.config.executable) else ()
        if shutil.which("piper"):
            return ("piper",)
        return (sys.executable, "-m", "piper") if _has_module() else ()

    def _models(self) -> list[Path]:
        folder = Path(self.config.voices_dir)
        if not self.config.voices_dir or not folder.is_dir():
            return []
        return [path for path in sorted(folder.glob("*.onnx")) if path.with_suffix(".onnx.json").is_file()]

    def _voices(self) -> tuple[Voice, ...]:
        found = []
        for model in self._models():
            described = _described(model)
            code = languages.normalise(str(described.get("language", {}).get("code") or model.stem.split("-")[0]))
            found.append(Voice(model.stem, code, model.stem))
            speakers = described.get("speaker_id_map") or {}
            if len(speakers) > 1:
                found += [Voice(f"{model.stem}#{name}", code, f"{model.stem}, {name}") for name in speakers]
        return tuple(found)

    def _model(self, language: str, voice: str) -> tuple[Path, int | None]:
        """The model's file and the number of the speaker in it."""
        voices = self._voices()
        if not voices:
            raise ProviderNotReady(HOW_TO_GET_A_VOICE)
        if voice and voice not in {known.id for known in voices}:
            raise UnsupportedLanguage(f"Piper has no voice {voice!r}; see the list of voices.", code="unknown_voice")
        wanted, primary = languages.normalise(language), languages.primary(language)
        ranked = sorted(
            (known.language != wanted, index, known.id)
            for index, known in enumerate(voices)
            if languages.primary(known.language) == primary
        )
        if not voice and not ranked:
            raise UnsupportedLanguage(f"Piper has no voice for {language}.")
        name, _, speaker = (voice or ranked[0][2]).partition("#")
        model = Path(self.config.voices_dir) / f"{name}.onnx"
        return model, int(_described(model)["speaker_id_map"][speaker]) if speaker else None


def _speak(argv: Sequence[str], spoken: Sequence[tuple[Path, str]], folder: Path, check: Check) -> None:
    """Lines on standard input become files in the folder, named by the clock: in the order of the lines."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    text = "".join(f"{line}\n" for _, line in spoken)
    try:
        run([*argv, "--output_dir", str(folder)], stdin=text.encode(), limits=LIMITS, check=check)
    except ToolTimedOut:
        raise
    except ToolFailed as error:
        raise ProviderFailed(f"Piper failed: {error.detail}") from error
    made = sorted(folder.glob("*.wav"), key=lambda path: (len(path.stem), path.stem))
    if len(made) != len(spoken):
        raise ProviderFailed(f"Piper spoke {len(made)} of {len(spoken)} lines.")
    for source, (path, _) in zip(made, spoken, strict=True):
        samples, rate = read_wav(source)
        write_wav(path, trimmed(samples, rate), rate)
    shutil.rmtree(folder)


def _described(model: Path) -> Mapping[str, Any]:
    try:
        described = json.loads(model.with_suffix(".onnx.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return described if isinstance(described, dict) else {}


@cache
def _has_module() -> bool:
    return find_spec("piper") is not None
