"""What the demo leaves in its folder, measured with other tools than those that made it."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from cli.clip import talk
from media_pipeline.tools.wer import word_error_rate
from tests.e2e.conftest import Demo

pytestmark = [pytest.mark.slow]
LANGUAGES = {"en": "eng", "es": "spa", "ca": "cat"}


def probed(path: Path) -> dict[str, Any]:
    shown = subprocess.run(
        ["ffprobe", "-v", "error", "-show_streams", "-show_format", "-of", "json", path],
        capture_output=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(shown.stdout)
    return found


def length(path: Path) -> float:
    return float(probed(path)["format"]["duration"])


def loudness(path: Path, *options: str) -> tuple[float, float]:
    """LUFS and dBTP, as ffmpeg's own meter sees them."""
    argv = ["ffmpeg", "-nostdin", "-hide_banner", "-i", path, *options, "-af", "ebur128=peak=true", "-f", "null", "-"]
    said = subprocess.run(argv, capture_output=True, check=True).stderr.decode()
    summary = said[said.rindex("Summary:") :]
    found = [re.search(pattern, summary) for pattern in (r"I:\s+(\S+) LUFS", r"Peak:\s+(\S+) dBFS")]
    return tuple(float(match[1]) for match in found if match)  # type: ignore[return-value]


def test_the_words_of_the_talk_are_recognised(demo: Demo) -> None:
    segments = json.loads((demo.made / "segments_src.json").read_text())["segments"]
    heard = " ".join(segment["text"] for segment in segments)
    assert word_error_rate(" ".join(talk()), heard) <= 0.05
    words = [word for segment in segments for word in segment["words"]]
    assert all(a["start"] <= a["end"] <= b["start"] + 0.05 for a, b in itertools.pairwise(words))


def test_the_film_carries_every_language(demo: Demo) -> None:
    streams = probed(demo.made / "talk.mp4")["streams"]
    audio = [s["tags"]["language"] for s in streams if s["codec_type"] == "audio"]
    texts = [s["tags"]["language"] for s in streams if s["codec_type"] == "subtitle"]
    assert audio == list(LANGUAGES.values())
    assert sorted(texts) == sorted(LANGUAGES.values())
    video = next(float(s["duration"]) for s in streams if s["codec_type"] == "video")
    for stream in streams:
        if stream["codec_type"] == "audio":
            assert float(stream["duration"]) == pytest.approx(video, abs=0.15)
            assert (stream["channels"], stream["sample_rate"]) == (2, "48000")


@pytest.mark.parametrize("language", ["es", "ca"])
def test_dubs_are_as_long_and_as_loud_as_they_must_be(demo: Demo, language: str) -> None:
    dub = demo.made / f"dub.{language}.m4a"
    lufs, peak = loudness(dub)
    assert lufs == pytest.approx(-16, abs=1)
    assert peak <= -1
    assert length(dub) == pytest.approx(length(demo.made / "source" / "talk.mp4"), abs=0.2)


@pytest.mark.parametrize("language", LANGUAGES)
def test_subtitles_keep_the_rules(demo: Demo, language: str) -> None:
    blocks = (demo.made / f"subtitles.{language}.srt").read_text(encoding="utf-8").strip().split("\n\n")
    assert len(blocks) >= 10
    ends = 0.0
    for block in blocks:
        _, times, *lines = block.split("\n")
        start, end = (seconds(part) for part in times.split(" --> "))
        assert len(lines) <= 2
        assert all(len(line) <= 42 for line in lines)
        assert 5 / 6 - 0.001 <= end - start <= 7.001
        assert start - ends >= 0.08 - 0.001 or ends == 0.0
        ends = end


def seconds(stamp: str) -> float:
    hours, minutes, rest = stamp.split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(rest.replace(",", "."))


def test_the_stream_is_whole(demo: Demo) -> None:
    master = (demo.made / "hls" / "master.m3u8").read_text()
    for kind in ("AUDIO", "SUBTITLES"):
        media = [line for line in master.splitlines() if line.startswith(f"#EXT-X-MEDIA:TYPE={kind}")]
        assert {re.search(r'LANGUAGE="(\w+)"', line)[1] for line in media} == set(LANGUAGES)  # type: ignore[index]
        assert len({re.search(r'NAME="([^"]+)"', line)[1] for line in media}) == 3  # type: ignore[index]
        assert sum("DEFAULT=YES" in line for line in media) <= 1
    assert re.search(r'#EXT-X-STREAM-INF:.*AVERAGE-BANDWIDTH=\d+.*CODECS="avc1', master)
    film = length(demo.made / "source" / "talk.mp4")
    for playlist in (demo.made / "hls").glob("audio-*/*.m3u8"):
        total = sum(float(found) for found in re.findall(r"#EXTINF:([\d.]+)", playlist.read_text()))
        assert total == pytest.approx(film, abs=0.2), playlist


def test_the_checks_passed(demo: Demo) -> None:
    qc = json.loads((demo.made / "qc.json").read_text())
    assert qc["passed"], [rule for rule in qc["rules"] if not rule["passed"]]
    assert len(qc["rules"]) > 20
