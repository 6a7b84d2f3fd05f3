"""Piper against a stand-in program that takes its options and answers as piper 1.4 documents: it reads lines from
standard input, writes one WAV a line into --output_dir, named by the clock, and slows down by --length_scale."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from media_pipeline.errors import ProviderFailed, ProviderNotReady, UnsupportedLanguage
from media_pipeline.providers.base import Line
from media_pipeline.providers.piper import Piper, PiperConfig
from media_pipeline.tools.audio import read_wav

STAND_IN = """#!{python}
import argparse, json, math, struct, sys, time, wave
from pathlib import Path
parser = argparse.ArgumentParser()
parser.add_argument("-m", "--model", required=True)
parser.add_argument("-d", "--output-dir", "--output_dir", required=True)
parser.add_argument("-s", "--speaker", type=int)
parser.add_argument("--length-scale", "--length_scale", type=float, default=1.0)
args = parser.parse_args()
if not Path(args.model).exists():
    sys.exit("Unable to find voice: " + args.model)
log = Path(__file__).with_name("calls.jsonl").open("a")
lines = [line.strip() for line in sys.stdin if line.strip()]
log.write(json.dumps({{"argv": sys.argv[1:], "lines": lines}}) + chr(10))
for line in lines:
    if line == "crash":
        sys.exit("onnxruntime: no")
    if line == "swallow":
        continue
    length = int(22050 * 0.05 * len(line) * args.length_scale)
    with wave.open(str(Path(args.output_dir) / (str(time.monotonic_ns()) + ".wav")), "wb") as out:
        out.setparams((1, 2, 22050, 0, "NONE", ""))
        tone = [int(9000 * math.sin(n / 9)) for n in range(length)]
        out.writeframes(struct.pack("<%dh" % (length + 4000), *tone, *([0] * 4000)))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A program and two voices, one with several speakers."""
    program = tmp_path / "piper"
    program.write_text(STAND_IN.format(python=sys.executable))
    program.chmod(0o755)
    for name, described in {
        "es_ES-davefx-medium": {"language": {"code": "es_ES"}, "num_speakers": 1, "speaker_id_map": {}},
        "es_MX-claude-high": {"language": {"code": "es_MX"}},
        "fr_FR-mls-medium": {"language": {"code": "fr_FR"}, "speaker_id_map": {"anna": 0, "bruno": 1}},
    }.items():
        (tmp_path / f"{name}.onnx").write_bytes(b"model")
        (tmp_path / f"{name}.onnx.json").write_text(json.dumps(described))
    (tmp_path / "half.onnx").write_bytes(b"without a description it is no voice")
    (tmp_path / "out").mkdir()
    return tmp_path


@pytest.fixture
def piper(folder: Path) -> Piper:
    return Piper(PiperConfig(voices_dir=str(folder), executable=str(folder / "piper")))


def calls(folder: Path) -> list[dict[str, list[str]]]:
    return [json.loads(line) for line in (folder / "calls.jsonl").read_text().splitlines()]


def seconds(path: Path) -> float:
    samples, rate = read_wav(path)
    return len(samples) / rate


def test_without_program_or_voice_it_says_how_to_get_them(folder: Path, tmp_path: Path) -> None:
    nothing = Piper(PiperConfig(executable=str(tmp_path / "nowhere")))
    assert not nothing.capabilities().ready
    assert "pip install piper-tts" in nothing.capabilities().message
    with pytest.raises(ProviderNotReady):
        nothing.synthesize([Line("Hola.")], language="es", voice="", out=tmp_path / "out")
    (tmp_path / "empty").mkdir()
    voiceless = Piper(PiperConfig(voices_dir=str(tmp_path / "empty"), executable=str(folder / "piper")))
    assert not voiceless.capabilities().ready
    assert "download_voices" in voiceless.capabilities().message


def test_voices_are_those_in_the_folder(piper: Piper) -> None:
    can = piper.capabilities()
    assert can.ready
    assert can.languages == {"es", "es-ES", "es-MX", "fr", "fr-FR"}
    assert [voice.id for voice in can.voices] == [
        "es_ES-davefx-medium",
        "es_MX-claude-high",
        "fr_FR-mls-medium",
        "fr_FR-mls-medium#anna",
        "fr_FR-mls-medium#bruno",
    ]


def test_lines_of_a_speed_share_a_process_and_keep_their_order(piper: Piper, folder: Path) -> None:
    lines = [
        Line("Una línea bastante larga."),
        Line("Sí.", 1.25),
        Line("…"),
        Line("Hola a todos."),
        Line("No, no.", 1.25),
    ]
    paths = piper.synthesize(lines, language="es", voice="", out=folder / "out")
    expected = [25 * 0.05, 3 * 0.05 / 1.25, 0.0, 13 * 0.05, 7 * 0.05 / 1.25]
    assert [seconds(path) for path in paths] == pytest.approx(expected, abs=0.03), "and the silence is trimmed"
    made = calls(folder)
    assert [call["lines"] for call in made] == [["Una línea bastante larga.", "Hola a todos."], ["Sí.", "No, no."]]
    assert made[1]["argv"][:4] == ["--model", str(folder / "es_ES-davefx-medium.onnx"), "--length_scale", "0.8000"]
    assert sorted((folder / "out").iterdir()) == sorted(paths)


def test_language_region_and_speaker_choose_the_model(piper: Piper, folder: Path) -> None:
    piper.synthesize([Line("Hola.")], language="es-MX", voice="", out=folder / "out")
    piper.synthesize([Line("Salut.")], language="fr", voice="fr_FR-mls-medium#bruno", out=folder / "out")
    first, second = (call["argv"] for call in calls(folder))
    assert first[1].endswith("es_MX-claude-high.onnx")
    assert second[second.index("--speaker") + 1] == "1"
    with pytest.raises(UnsupportedLanguage):
        piper.synthesize([Line("Hei.")], language="fi", voice="", out=folder / "out")
    with pytest.raises(UnsupportedLanguage):
        piper.synthesize([Line("Hola.")], language="es", voice="../../etc/passwd", out=folder / "out")


def test_text_is_one_line_and_no_phonemes(piper: Piper, folder: Path) -> None:
    piper.synthesize([Line("uno\ndos [[tres]] --model x")], language="es", voice="", out=folder / "out")
    assert calls(folder)[0]["lines"] == ["uno dos [ [tres]] --model x"]


@pytest.mark.parametrize("text", ["crash", "swallow"])
def test_a_program_that_fails_or_loses_a_line(piper: Piper, folder: Path, text: str) -> None:
    with pytest.raises(ProviderFailed):
        piper.synthesize([Line("Hola."), Line(text)], language="es", voice="", out=folder / "out")


def test_another_model_is_another_fingerprint(piper: Piper, folder: Path) -> None:
    before = piper.fingerprint()
    (folder / "es_ES-davefx-medium.onnx").write_bytes(b"a better model")
    assert piper.fingerprint() != before
