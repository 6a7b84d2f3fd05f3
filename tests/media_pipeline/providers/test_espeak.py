"""espeak-ng as it is installed."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from media_pipeline.errors import Cancelled, UnsupportedLanguage
from media_pipeline.providers.base import Line
from media_pipeline.providers.espeak import FASTEST, SLOWEST, Espeak, voice_for, words_per_minute
from media_pipeline.tools.audio import read_wav

TEXT = "El siguiente paso es medir cuánto tarda cada línea."


def seconds(path: Path) -> float:
    samples, rate = read_wav(path)
    return len(samples) / rate


def say(tmp_path: Path, *lines: Line, language: str = "es", voice: str = "") -> tuple[Path, ...]:
    return Espeak().synthesize(lines, language=language, voice=voice, out=tmp_path)


def test_languages_and_voices_are_bcp47() -> None:
    can = Espeak().capabilities()
    assert can.ready
    assert {"en", "en-US", "es", "es-419", "ca", "pt", "pt-BR", "zh", "no", "fr", "de", "it"} <= can.languages
    voices = {voice.id: voice for voice in can.voices}
    assert voices["es-419"].language == "es-419"
    assert voices["en-gb-scotland"].language == "en-GB-scotland"
    assert voices["ca+f2"].gender == "female"
    assert len(voices) == len(can.voices), "ids are unique"


def test_the_voice_of_a_language() -> None:
    assert voice_for("es", "") == "es"
    assert voice_for("es-MX", "") == "es-419"
    assert voice_for("es-AR", "") == "es"
    assert voice_for("pt-BR", "") == "pt-br"
    assert voice_for("zh", "") == "cmn"
    assert voice_for("es", "es-419+f2") == "es-419+f2"
    with pytest.raises(UnsupportedLanguage):
        voice_for("tlh", "")
    for strange in ("nosuch", "--version", "../es"):
        with pytest.raises(UnsupportedLanguage):
            voice_for("es", strange)


def test_lines_come_back_in_order_trimmed(tmp_path: Path) -> None:
    paths = say(tmp_path, Line("Sí."), Line(TEXT), Line("Hola, buenos días."))
    lengths = [seconds(path) for path in paths]
    assert lengths[0] < lengths[2] < lengths[1]
    for path in paths:
        samples, rate = read_wav(path)
        assert np.abs(samples[: int(0.03 * rate)]).max() > 50
        assert np.abs(samples[-int(0.05 * rate) :]).max() > 50
    assert sorted(tmp_path.iterdir()) == sorted(paths), "nothing else is left"


def test_speed(tmp_path: Path) -> None:
    asked = (0.85, 1.0, 1.1, 1.2, 1.3, 1.4)
    lengths = [seconds(path) for path in say(tmp_path, *(Line(TEXT, speed) for speed in asked))]
    reached = [lengths[1] / length for length in lengths]
    assert reached == pytest.approx(asked, rel=0.05)


def test_speed_is_held_within_what_it_can_do() -> None:
    assert words_per_minute(1.0) == 175
    assert words_per_minute(9.0) == words_per_minute(FASTEST)
    assert words_per_minute(0.1) == words_per_minute(SLOWEST)


def test_a_female_voice_sounds_different(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    man, woman = say(tmp_path / "a", Line(TEXT)), say(tmp_path / "b", Line(TEXT), voice="es+f2")
    assert man[0].read_bytes() != woman[0].read_bytes()


@pytest.mark.parametrize(
    "text", ["--version", "-w stolen.wav Hola", "$(touch stolen.wav); Hola", "<speak>Hola</speak>"]
)
def test_text_is_never_an_option_nor_markup(tmp_path: Path, text: str) -> None:
    (path,) = say(tmp_path, Line(text))
    assert seconds(path) > 0.3
    assert sorted(tmp_path.iterdir()) == [path]


def test_text_is_never_phonemes_or_commands(tmp_path: Path) -> None:
    """``[[h@l'oU]]`` would be half a second of phonemes, and Ctrl-A with 450s would be three times as fast."""
    plain, phonemes, hurried = say(
        tmp_path, Line("h a l o u siete ocho"), Line("[[h@l'oU]] siete ocho"), Line("\x01450s " + TEXT)
    )
    assert seconds(phonemes) > 0.8 * seconds(plain)
    assert seconds(hurried) > seconds(say(tmp_path, Line(TEXT))[0])


@pytest.mark.parametrize("text", ["", "   ", "...", "—", "🙂", "\x00\n"])
def test_nothing_to_say_is_an_empty_wav(tmp_path: Path, text: str) -> None:
    (path,) = say(tmp_path, Line(text))
    assert seconds(path) == 0.0


def test_a_line_break_does_not_end_a_line(tmp_path: Path) -> None:
    one, two = say(tmp_path, Line("Uno dos tres cuatro cinco."), Line("Uno dos\n\ntres cuatro cinco."))
    assert seconds(two) == pytest.approx(seconds(one), rel=0.02)


def test_cancel_stops_it(tmp_path: Path) -> None:
    def check() -> None:
        if time.monotonic() > began + 0.1:
            raise Cancelled

    began = time.monotonic()
    with pytest.raises(Cancelled):
        Espeak().synthesize([Line(TEXT * 40)] * 64, language="es", voice="", out=tmp_path, check=check)
    assert time.monotonic() - began < 2


def test_fingerprint_names_the_engine() -> None:
    assert Espeak().fingerprint().split(":")[1][0].isdigit()


def test_not_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    can = Espeak().capabilities()
    assert not can.ready
    assert "apt install espeak-ng" in can.message
