"""espeak-ng: small, offline, over a hundred languages. A program of its own (GPL), never a library of this process."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from media_pipeline import languages
from media_pipeline.errors import ProviderFailed, ProviderNotReady, ToolFailed, ToolTimedOut, UnsupportedLanguage
from media_pipeline.providers.base import Capabilities, Check, Line, TtsProvider, Voice, no_check
from media_pipeline.tools.audio import EMPTY, read_wav, trimmed, write_wav
from media_pipeline.tools.process import Limits, run
from media_pipeline.tools.speech_text import plain, speakable

HOW_TO_GET = (
    "espeak-ng is not installed. On Debian: apt install espeak-ng; on Fedora: dnf install espeak-ng; "
    "on macOS: brew install espeak-ng"
)

NATURAL_WPM = 175
SLOWEST, FASTEST = 0.85, 1.5
CURVE = 1.08
"""Doubling the words a minute does not halve the time: measured over es, ca and de."""
FEMALE = "f2"
SILENT_RATE = 22050

RUN_LINES = 'voice="$1"; shift; while [ $# -gt 0 ]; do espeak-ng -v "$voice" -s "$1" -b 1 -z -f "$2.txt" -w "$2.wav" \
|| exit; shift 2; done'
"""One process of ours for a batch; each line is still a run of espeak-ng, which is about 6 ms."""
AT_ONCE = 64

MACRO = {"cmn": "zh", "nb": "no"}
"""Languages that people also know by the name of their macrolanguage (ISO 639-3)."""
OTHER = re.compile(r"\(([\w-]+) (\d+)\)")


class Espeak(TtsProvider):
    """Speaks each line from a file, so that no text is ever taken for an option; markup is not interpreted."""

    id = "espeak"
    version = "1"

    def capabilities(self) -> Capabilities:
        if shutil.which("espeak-ng") is None:
            return Capabilities(ready=False, message=HOW_TO_GET)
        return Capabilities(
            languages=frozenset(_default_voices()),
            voices=_voices(),
            batch_size=AT_ONCE,
            speed=(SLOWEST, FASTEST),
        )

    def fingerprint(self) -> str:
        return f"{self.version}:{engine_version()}"

    def synthesize(
        self, lines: Sequence[Line], *, language: str, voice: str, out: Path, check: Check = no_check
    ) -> tuple[Path, ...]:
        """See ``TtsProvider``. ``voice`` is an id of ``capabilities``, "" for the language's own; what has nothing to
        say becomes an empty WAV. Raises UnsupportedLanguage for a language or voice that there is not."""
        if shutil.which("espeak-ng") is None:
            raise ProviderNotReady(HOW_TO_GET)
        chosen = voice_for(language, voice)
        paths = tuple(out / f"line-{index:05d}.wav" for index in range(len(lines)))
        spoken = []
        for path, line in zip(paths, lines, strict=True):
            text = plain(line.text)
            if speakable(text):
                path.with_suffix(".txt").write_text(text + "\n", encoding="utf-8")
                spoken.append((path, words_per_minute(line.speed)))
            else:
                write_wav(path, EMPTY, SILENT_RATE)
        for at in range(0, len(spoken), AT_ONCE):
            _speak(chosen, spoken[at : at + AT_ONCE], out, check)
        return paths


def words_per_minute(speed: float) -> int:
    """espeak-ng's own measure of speed for a factor, which is held within what it can do well."""
    factor = min(FASTEST, max(SLOWEST, speed))
    return round(NATURAL_WPM * float(factor**CURVE))


def voice_for(language: str, voice: str) -> str:
    """The argument of ``-v``. Raises UnsupportedLanguage."""
    if voice:
        if voice not in {known.id for known in _voices()}:
            raise UnsupportedLanguage(f"espeak has no voice {voice!r}; see the list of voices.", code="unknown_voice")
        return voice
    wanted = languages.normalise(language)
    found = _default_voices().get(wanted) or _default_voices().get(languages.primary(language))
    if found is None:
        raise UnsupportedLanguage(f"espeak does not speak {language}.")
    return found


@cache
def engine_version() -> str:
    """Such as ``1.51``; "" when there is none."""
    if shutil.which("espeak-ng") is None:
        return ""
    match = re.search(r"text-to-speech: (\S+)", run(["espeak-ng", "--version"]).stdout.decode("utf-8", "replace"))
    return match.group(1) if match else "unknown"


def _speak(voice: str, spoken: Sequence[tuple[Path, int]], out: Path, check: Check) -> None:
    arguments = [argument for path, speed in spoken for argument in (str(speed), path.stem)]
    try:
        run(["sh", "-c", RUN_LINES, "sh", voice, *arguments], limits=Limits(seconds=300), check=check, cwd=out)
    except ToolTimedOut:
        raise
    except ToolFailed as error:
        raise ProviderFailed(f"espeak-ng failed: {error.detail}") from error
    for path, _ in spoken:
        check()
        samples, rate = read_wav(path)
        write_wav(path, trimmed(samples, rate), rate)
        path.with_suffix(".txt").unlink()


@cache
def _listed() -> tuple[tuple[str, str, str, str], ...]:
    """(tag as espeak-ng writes it, name, argument of -v, other languages) of each voice that needs no other program."""
    text = run(["espeak-ng", "--voices"]).stdout.decode("utf-8", "replace")
    rows: list[tuple[str, str, str, str]] = []
    for line in text.splitlines()[1:]:
        _, tag, _, name, file, *others = line.split(maxsplit=5)
        if file.startswith(("mb/", "!v/")):
            continue
        seen = any(row[2] == tag for row in rows)
        rows.append((tag, name.replace("_", " ").strip(), Path(file).name if seen else tag, " ".join(others)))
    return tuple(rows)


@cache
def _voices() -> tuple[Voice, ...]:
    """All voices: each as it is (male), and with the engine's female variant."""
    made = []
    for tag, name, argument, _ in _listed():
        code = _bcp47(tag)
        made.append(Voice(argument, code, name, "male"))
        made.append(Voice(f"{argument}+{FEMALE}", code, f"{name}, female", "female"))
    return tuple(made)


@cache
def _default_voices() -> dict[str, str]:
    """The argument of -v for each language: its own voice, else the one that names it as another language, with the
    best (lowest) priority."""
    ranked: dict[str, tuple[int, str]] = {}

    def offer(code: str, rank: int, argument: str) -> None:
        if code not in ranked or rank < ranked[code][0]:
            ranked[code] = (rank, argument)

    for tag, _, argument, others in _listed():
        code = _bcp47(tag)
        offer(code, 0, argument)
        for other, priority in OTHER.findall(others):
            offer(_bcp47(other), int(priority), argument)
        base = languages.primary(code)
        offer(base, 100, argument)
        if tag in MACRO:
            offer(MACRO[tag], 0, argument)
    return {code: argument for code, (_, argument) in ranked.items()}


def _bcp47(tag: str) -> str:
    """``en-gb`` is ``en-GB``, ``cmn-latn-pinyin`` is ``zh-Latn-pinyin``: case by RFC 5646, section 2.1.1."""
    first, *rest = tag.split("-")
    parts = [MACRO.get(first, first) if first == "cmn" else languages.normalise(first)]
    private = False
    for part in rest:
        private = private or part.lower() == "x"
        if private or len(part) not in (2, 4):
            parts.append(part.lower())
        else:
            parts.append(part.upper() if len(part) == 2 else part.title())
    return "-".join(parts)
