"""tts, mix, subtitles and qc one after the other, with espeak-ng and ffmpeg, on a film that was never filmed."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from media_pipeline.contract import ArtifactType, InputFile, ShardRequest, StageResult
from media_pipeline.errors import Cancelled, UnsupportedLanguage
from media_pipeline.providers.base import Capabilities, Line, TtsProvider
from media_pipeline.providers.espeak import Espeak
from media_pipeline.segments import Segment, Word, read_segments, write_segments
from media_pipeline.stages.mix import Mix
from media_pipeline.stages.qc import Qc
from media_pipeline.stages.subtitles import Subtitles
from media_pipeline.stages.tts import SHARD_LINES, Tts
from media_pipeline.tools import loudness, pcm
from media_pipeline.tools.audio import write_wav
from media_pipeline.tools.loudness import RATE
from tests.media_pipeline.context import FileContext, run_stage

TEXTS = (
    "Buenos días a todos.",
    "Hoy quiero hablar de cómo se dobla una película.",
    "El primer paso es encontrar dónde hablan las personas que salen en ella.",
    "Gracias.",
)
SLOTS = ((0.5, 3.0), (3.5, 6.0), (6.2, 8.2), (12.0, 13.0))
FILM = 15.0


def speech_like(seconds: float) -> np.ndarray:
    """A hum that comes and goes, as loud as a speaker."""
    at = np.arange(round(seconds * RATE)) / RATE
    return (np.sin(2 * np.pi * 180 * at) * (0.12 + 0.1 * np.sin(2 * np.pi * 2 * at)) * 32767).astype(np.int16)


@pytest.fixture
def film(tmp_path: Path) -> Callable[..., FileContext]:
    """``film(texts, slots, seconds)``: the context of its dub into Spanish, before tts."""

    def made(texts: tuple[str, ...] = TEXTS, slots: Any = SLOTS, seconds: float = FILM, **params: Any) -> FileContext:
        rows = list(zip(texts, slots, strict=True))
        source = [Segment(f"s{n}", start, end, text) for n, (text, (start, end)) in enumerate(rows)]
        target = [
            Segment(f"es-s{n}", start, end, text, source_id=f"s{n}", origin="mt")
            for n, (text, (start, end)) in enumerate(rows)
        ]
        write_segments(tmp_path / "segments_src.json", source, language="en")
        write_segments(tmp_path / "segments.es.json", target, language="es")
        (tmp_path / "probe.json").write_text("{}")
        write_wav(tmp_path / "bed.wav", speech_like(seconds), RATE)
        ctx = FileContext(
            work=tmp_path / "work",
            language="es",
            params={"loudness": -16, "ducking_db": -18.0, "max_speed": 1.4, "subtitle_profile": "netflix", **params},
            known={
                "probe": {"duration": seconds, "fps": 25.0, "width": 1280, "height": 720},
                "mt": {"segments": len(rows), "speech_seconds": sum(end - start for start, end in slots)},
            },
            providers=[Espeak()],
        )
        ctx.add(tmp_path / "probe.json", ArtifactType.PROBE, stage="probe")
        ctx.add(tmp_path / "bed.wav", ArtifactType.BED, stage="extract")
        ctx.add(tmp_path / "segments_src.json", ArtifactType.SEGMENTS_SRC, stage="asr")
        ctx.add(tmp_path / "segments.es.json", ArtifactType.SEGMENTS, stage="mt", language="es")
        return ctx

    return made


def index_of(files: list[InputFile]) -> dict[str, Any]:
    (found,) = [file for file in files if file.type is ArtifactType.VOICE_INDEX]
    return json.loads(found.path.read_text("utf-8"))


def dubbed(ctx: FileContext) -> tuple[StageResult, Path, tuple[Segment, ...]]:
    """Speak and mix; what the mix reports, the dub, its segments."""
    ctx.files += run_stage(Tts(), ctx)[1]
    result, made = run_stage(Mix(), ctx)
    ctx.files += made
    return result, made[0].path, read_segments(made[1].path)


def test_lines_are_spoken_faster_only_where_they_must_be(film: Callable[..., FileContext]) -> None:
    ctx = film()
    result, made = run_stage(Tts(), ctx)
    fits = {line["id"]: line["fit"] for line in index_of(made)["lines"]}
    assert fits["es-s0"]["verdict"] == "natural"
    assert fits["es-s1"]["verdict"] in {"faster", "natural"}
    assert fits["es-s2"]["verdict"] == "pause"
    assert fits["es-s2"]["speed"] == pytest.approx(1.2, abs=0.03)
    assert result.facts["lines"] == 4
    assert result.usage["characters"] == sum(map(len, TEXTS))
    assert result.provider == "espeak"


def test_the_index_points_at_the_lines(film: Callable[..., FileContext]) -> None:
    made = run_stage(Tts(), film())[1]
    (voice,) = [file for file in made if file.type is ArtifactType.VOICE]
    lines = index_of(made)["lines"]
    samples = pcm.read(voice.path, rate=lines[0]["rate"])
    for line in lines:
        assert line["file"] == voice.name
        inside = samples[line["offset"] : line["offset"] + line["samples"]]
        assert np.abs(inside).max() > 0.1
        assert np.abs(samples[line["offset"] - 50 : line["offset"]]).max() == 0, "silence between lines"
        assert line["samples"] / line["rate"] == pytest.approx(line["fit"]["duration"], abs=0.002)


def test_an_edit_speaks_one_line_again(film: Callable[..., FileContext], monkeypatch: pytest.MonkeyPatch) -> None:
    spoken: list[Line] = []
    real = Espeak.synthesize

    def counted(self: Espeak, lines: list[Line], **how: Any) -> tuple[Path, ...]:
        spoken.extend(lines)
        return real(self, lines, **how)

    ctx = film()
    run_stage(Tts(), ctx)
    monkeypatch.setattr(Espeak, "synthesize", counted)
    again = film((TEXTS[0], TEXTS[1], TEXTS[2], "Muchas gracias."))
    again.pieces = ctx.pieces
    result, _ = run_stage(Tts(), again)
    assert {line.text for line in spoken} == {"Muchas gracias."}
    assert result.facts["cached_lines"] == 3


def test_shards_speak_what_the_whole_would(film: Callable[..., FileContext]) -> None:
    count = SHARD_LINES + 9
    slots = tuple((n * 2.0, n * 2.0 + 1.4) for n in range(count))
    texts = tuple(TEXTS[n % 4] for n in range(count))
    ctx = film(texts, slots, count * 2.0)
    shards = Tts().shards(ShardRequest("es", {}, ctx.known))
    assert [shard.spec for shard in shards] == [{"from": 0, "to": 20}, {"from": 20, "to": 41}]
    result, made = run_stage(Tts(), ctx)
    lines = index_of(made)["lines"]
    assert [line["id"] for line in lines] == [f"es-s{n}" for n in range(count)]
    assert len({line["file"] for line in lines}) == 2
    assert (result.facts["lines"], result.facts["characters"]) == (count, sum(map(len, texts)))
    assert result.provider == "espeak"
    border = lines[19]["fit"]
    assert border["start"] + border["duration"] <= 40.0 or border["verdict"] == "overflow"
    ctx.files += made
    mixed, _ = run_stage(Mix(), ctx)
    assert mixed.facts["lines"] == count


def test_the_dub_keeps_the_numbers(film: Callable[..., FileContext]) -> None:
    ctx = film()
    result, dub, segments = dubbed(ctx)
    heard = loudness.measure(dub)
    assert heard.integrated == pytest.approx(-16, abs=1)
    assert heard.true_peak <= -1
    assert (result.facts["lufs"], result.facts["true_peak_dbtp"]) == (heard.integrated, heard.true_peak)
    shown = json.loads(
        subprocess.check_output(
            ["ffprobe", "-v", "error", "-show_streams", "-show_format", "-of", "json", dub], text=True
        )
    )
    (stream,) = shown["streams"]
    assert (stream["codec_name"], stream["profile"], stream["sample_rate"], stream["channels"]) == (
        "aac",
        "LC",
        "48000",
        2,
    )
    assert stream["tags"]["language"] == "spa"
    assert float(shown["format"]["duration"]) == pytest.approx(FILM, abs=0.02)
    fits = [segment.fit for segment in segments]
    assert all(fits)
    for before, after in pairwise(fits):
        assert before.start + before.duration <= after.start


@pytest.mark.parametrize("target", [-14, -23])
def test_other_loudness_targets(film: Callable[..., FileContext], target: int) -> None:
    result, _, _ = dubbed(film(loudness=target))
    assert result.facts["lufs"] == pytest.approx(target, abs=1)
    assert result.facts["true_peak_dbtp"] <= -1


def test_the_voice_is_where_the_fit_says_and_the_original_is_down(film: Callable[..., FileContext]) -> None:
    _, dub, segments = dubbed(film())
    samples = pcm.read(dub, rate=RATE)
    hum = np.exp(-2j * np.pi * 180 * np.arange(len(samples)) / RATE)

    def hum_level(start: float, end: float) -> float:
        part = slice(round(start * RATE), round(end * RATE))
        return 20 * float(np.log10(abs(np.mean(samples[part] * hum[part])) + 1e-9))

    between, under = hum_level(10.0, 11.0), hum_level(0.6, 1.6)
    assert between - under > 12
    last = segments[3].fit
    assert last is not None
    spoken = samples[round(last.start * RATE) : round((last.start + last.duration) * RATE)]
    assert np.abs(np.diff(spoken)).mean() > 3 * np.abs(np.diff(samples[10 * RATE : 11 * RATE])).mean()


def test_what_does_not_fit_is_kept_whole_and_flagged(film: Callable[..., FileContext]) -> None:
    texts = ("Una frase larguísima que de ninguna manera cabe en un solo segundo de película.", "Fin.")
    result, _, (long, end) = dubbed(film(texts, ((0.0, 1.0), (1.0, 4.0)), 8.0))
    assert long.fit is not None
    assert end.fit is not None
    assert long.fit.verdict == "overflow"
    assert "overflow" in long.flags
    assert long.fit.speed == pytest.approx(1.4, abs=0.04)
    assert long.fit.duration == pytest.approx(long.fit.natural / long.fit.speed, abs=0.01)
    assert long.fit.overflow == pytest.approx(long.fit.duration - 1.0, abs=0.01)
    assert end.fit.start >= long.fit.start + long.fit.duration
    assert result.facts["overflow_seconds"] >= long.fit.overflow


def test_a_film_in_which_nobody_speaks(film: Callable[..., FileContext]) -> None:
    result, dub, segments = dubbed(film((), (), 3.0))
    assert segments == ()
    assert result.facts["lufs"] == pytest.approx(-16, abs=1), "the original, at the wanted loudness"
    assert loudness.measure(dub).seconds == pytest.approx(3.0, abs=0.03)


def test_a_silent_film(film: Callable[..., FileContext], tmp_path: Path) -> None:
    ctx = film((), (), 3.0)
    write_wav(tmp_path / "bed.wav", np.zeros(RATE, np.int16), RATE)
    result, dub, _ = dubbed(ctx)
    assert result.facts["lufs"] is None
    assert loudness.measure(dub).seconds == pytest.approx(3.0, abs=0.03)


def test_a_line_with_nothing_to_say_has_no_sound(film: Callable[..., FileContext]) -> None:
    _, _, segments = dubbed(film(("Hola.", "…", "Adiós."), ((0.2, 1.0), (1.0, 2.0), (2.0, 3.0)), 4.0))
    assert [segment.fit is not None for segment in segments] == [True, False, True]


def test_cancel_and_unknown_voice(film: Callable[..., FileContext]) -> None:
    ctx = film(voices={"es": "nobody"})
    with pytest.raises(UnsupportedLanguage):
        run_stage(Tts(), ctx)
    ctx = film()
    ctx.files += run_stage(Tts(), ctx)[1]
    ctx.cancelled = Cancelled()
    with pytest.raises(Cancelled):
        run_stage(Mix(), ctx)


class Constant(TtsProvider):
    """Speaks two seconds whatever it is asked, and knows no speed."""

    id = "constant"
    version = "1"

    def capabilities(self) -> Capabilities:
        return Capabilities(languages=frozenset({"es"}))

    def synthesize(self, lines: Any, *, language: str, voice: str, out: Path, check: Any = None) -> tuple[Path, ...]:
        assert len(lines) == 1, "one at a time, as its capabilities say"
        write_wav(out / "a.wav", speech_like(2.0)[::2], RATE // 2)
        return (out / "a.wav",)


def test_a_provider_without_speed_overflows(film: Callable[..., FileContext]) -> None:
    ctx = film()
    ctx.providers = [Constant()]
    lines = index_of(run_stage(Tts(), ctx)[1])["lines"]
    assert [line["fit"]["speed"] for line in lines] == [1.0] * 4
    assert [line["fit"]["verdict"] for line in lines] == ["natural", "natural", "natural", "pause"]


def subtitled(ctx: FileContext, language: str) -> StageResult:
    ctx.language = language
    result, made = run_stage(Subtitles(), ctx)
    ctx.files += made
    return result


def test_subtitles_of_source_and_target(film: Callable[..., FileContext], tmp_path: Path) -> None:
    ctx = film()
    words = tuple(Word(0.5 + n * 0.5, 0.9 + n * 0.5, text) for n, text in enumerate(["Good", "morning", "to", "all."]))
    write_segments(
        tmp_path / "segments_src.json", [Segment("s0", 0.5, 3.0, "Good morning to all.", words=words)], language="en"
    )
    subtitled(ctx, "es")
    subtitled(ctx, "en")
    names = {file.name: file for file in ctx.inputs(ArtifactType.SUBTITLES)}
    assert set(names) == {f"subtitles.{code}.{kind}" for code in ("es", "en") for kind in ("vtt", "srt", "ttml")}
    assert "Good morning to all." in names["subtitles.en.vtt"].path.read_text("utf-8")
    assert "Buenos días a todos." in names["subtitles.es.srt"].path.read_text("utf-8")


def test_subtitles_of_silence(film: Callable[..., FileContext]) -> None:
    ctx = film((), ())
    assert subtitled(ctx, "es").facts["cues"] == 0
    (vtt,) = [file for file in ctx.inputs(ArtifactType.SUBTITLES) if file.name.endswith(".vtt")]
    assert vtt.path.read_text("utf-8") == "WEBVTT\n"


def streams(ctx: FileContext, folder: Path, *, languages: tuple[str, ...], seconds: float) -> None:
    """An HLS package as far as the checks look at it."""
    files = {}
    master = ["#EXTM3U"]
    for code in languages:
        master.append(
            f'#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="audio",NAME="{code}",LANGUAGE="{code}",URI="audio-{code}/index.m3u8"'
        )
        master.append(
            f'#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="s",NAME="{code}",LANGUAGE="{code}",URI="s-{code}/index.m3u8"'
        )
        files[f"hls/audio-{code}/index.m3u8"] = f"#EXTM3U\n#EXTINF:{seconds},\nseg_0.m4s\n#EXT-X-ENDLIST\n"
        files[f"hls/audio-{code}/seg_0.m4s"] = "x"
    files["hls/master.m3u8"] = "\n".join(master)
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        ctx.files.append(InputFile(name, path, ArtifactType.HLS, "package", "", 0, "", ""))


def checked(ctx: FileContext) -> dict[str, Any]:
    ctx.language = ""
    result, made = run_stage(Qc(), ctx)
    report = json.loads(made[0].path.read_text("utf-8"))
    assert result.facts["passed"] == report["passed"]
    return report


def test_checks_of_a_good_dub(film: Callable[..., FileContext], tmp_path: Path) -> None:
    ctx = film()
    _, dub, _ = dubbed(ctx)
    for code in ("es", "en"):
        subtitled(ctx, code)
    streams(ctx, tmp_path, languages=("en", "es"), seconds=FILM)
    report = checked(ctx)
    rules = {(rule["rule"], rule["scope"]): rule for rule in report["rules"]}
    assert report["passed"], report["summary"]
    assert rules["loudness", "es"]["value"] == loudness.measure(dub).integrated
    assert rules["dub_length", "es"]["value"] == pytest.approx(FILM, abs=0.03)
    assert rules["overflow", "es"]["value"] == 0
    assert ("subtitles.reading_speed", "en") in rules
    assert report["speech_dubbed_share"] == {"es": 1.0}
    assert report["recognised_again"] == {"es": "not measured: no recogniser for es"}


def test_checks_name_what_is_wrong(film: Callable[..., FileContext], tmp_path: Path) -> None:
    texts = ("Una frase larguísima que de ninguna manera cabe en un solo segundo de película.", "…", "Fin.")
    ctx = film(texts, ((0.0, 1.0), (1.0, 2.0), (2.0, 3.0)), 6.0)
    dubbed(ctx)
    subtitled(ctx, "es")
    streams(ctx, tmp_path, languages=("en",), seconds=4.0)
    (tmp_path / "hls/audio-en/seg_0.m4s").unlink()
    ctx.files = [file for file in ctx.files if file.name != "hls/audio-en/seg_0.m4s"]
    report = checked(ctx)
    failed = {rule["rule"]: rule for rule in report["rules"] if not rule["passed"]}
    assert not report["passed"]
    assert failed["overflow"]["lines"] == ["es-s0"]
    assert failed["overflow"]["value"] > 0.5
    assert failed["subtitles.reading_speed"]["lines"] == ["cue 1"]
    assert failed["stream_length"]["value"] == 4.0
    assert failed["stream_files"]["lines"] == ["seg_0.m4s"]
    assert failed["tracks.audio"]["lines"] == ["es"]
    assert report["speech_dubbed_share"]["es"] == pytest.approx(2 / 3, abs=0.01)
    assert "overflow (es)" in report["summary"]
