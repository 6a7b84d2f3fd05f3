"""The original's tracks and the packages, with real ffmpeg."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from media_pipeline.contract import ArtifactType, StageResult
from media_pipeline.stages.original import Original
from media_pipeline.stages.package import Package
from tests.media_pipeline.context import FileContext, run_stage

SECONDS = 13.0
Film = Callable[..., FileContext]


def ffmpeg(*args: str | Path) -> None:
    subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-y", *args], check=True)


def streams(path: Path) -> list[dict[str, Any]]:
    argv = ["ffprobe", "-v", "error", "-show_streams", "-of", "json", path]
    found: list[dict[str, Any]] = json.loads(subprocess.run(argv, check=True, capture_output=True).stdout)["streams"]
    return found


@pytest.fixture
def film(tmp_path: Path) -> Film:
    """``film(gop=…, sound=seconds)``: a context with a film of 13 s."""

    def make(*, gop: int = 50, sound: float = SECONDS, picture: bool = True) -> FileContext:
        path = tmp_path / "film.mp4"
        ffmpeg(
            *(("-f", "lavfi", "-i", f"testsrc2=size=160x120:rate=25:duration={SECONDS}") if picture else ()),
            *("-f", "lavfi", "-i", f"sine=frequency=300:sample_rate=48000:duration={sound}", "-c:a", "aac", "-ac", "2"),
            *("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", str(gop), "-sc_threshold", "0"),
            path,
        )
        facts = {"duration": SECONDS, "has_video": picture, "width": 160, "height": 120, "fps": 25.0}
        ctx = FileContext(tmp_path / "work", known={"probe": facts})
        ctx.work.mkdir()
        ctx.add(path, ArtifactType.SOURCE_MEDIA)
        ctx.add(path, ArtifactType.PROBE, stage="probe")
        return ctx

    return make


def made(result: StageResult) -> dict[str, Path]:
    return {item.name: item.path for item in result.artifacts}


def packaged(ctx: FileContext) -> tuple[StageResult, dict[str, Path]]:
    """The package of a film with one dub."""
    _, files = run_stage(Original(), ctx)
    ctx.files += files
    dub = ctx.work / "dub.es.m4a"
    ffmpeg("-f", "lavfi", "-i", f"sine=frequency=500:sample_rate=48000:duration={SECONDS}", "-ac", "2", dub)
    ctx.add(dub, ArtifactType.DUB, stage="mix", language="es")
    subtitles = ctx.work / "subtitles.es.vtt"
    subtitles.write_text("WEBVTT\n\n00:00:01.000 --> 00:00:03.000\nHola\n", encoding="utf-8")
    ctx.add(subtitles, ArtifactType.SUBTITLES, stage="subtitles", language="es")
    packing = FileContext(**{**ctx.__dict__, "work": ctx.work / "package"})
    packing.work.mkdir()
    result = Package().run(packing)
    return result, made(result)


def test_every_track_is_copied_and_as_long_as_the_film(film: Film) -> None:
    result, files = packaged(film(sound=10.0))
    assert result.facts["video_copied"]
    tracks = streams(files["A talk.mp4"])
    assert [t["codec_name"] for t in tracks] == ["h264", "aac", "aac", "mov_text"]
    assert [t["tags"]["language"] for t in tracks[1:]] == ["eng", "spa", "spa"]
    assert all(float(t["duration"]) == pytest.approx(SECONDS, abs=0.05) for t in tracks[:3])
    master = files["hls/master.m3u8"].read_text()
    assert 'LANGUAGE="es"' in master
    assert "RESOLUTION=160x120" in master
    for name in ("video", "audio-en", "audio-es"):
        playlist = files[f"hls/{name}/index.m3u8"].read_text()
        seconds = sum(float(line[8:-1]) for line in playlist.splitlines() if line.startswith("#EXTINF:"))
        assert seconds == pytest.approx(SECONDS, abs=0.1), name


def test_sound_that_fits_is_not_encoded_again(film: Film) -> None:
    ctx = film()
    sounds = []
    for path in (ctx.files[0].path, made(Original().run(ctx))["original.m4a"]):
        argv = ["ffmpeg", "-v", "error", "-i", path, "-map", "0:a:0", "-c", "copy", "-f", "md5", "-"]
        sounds.append(subprocess.run(argv, check=True, capture_output=True).stdout)
    assert sounds[0] == sounds[1]


def test_video_with_rare_keyframes_is_encoded_once(film: Film) -> None:
    ctx = film(gop=1000)
    result, files = packaged(ctx)
    assert not result.facts["video_copied"]
    playlist = files["hls/video/index.m3u8"].read_text()
    assert playlist.count("#EXTINF:") == 3


def test_poster_and_waveform(film: Film) -> None:
    files = made(Original().run(film()))
    assert streams(files["poster.jpg"])[0]["width"] == 160
    peaks = json.loads(files["peaks.json"].read_text())
    assert peaks["length"] == pytest.approx(SECONDS * 20, abs=2)
    assert max(peaks["data"]) > 10


def test_sound_alone(film: Film) -> None:
    result, files = packaged(film(picture=False))
    assert "poster.jpg" not in files
    assert not result.facts["video_copied"]
    assert [t["codec_type"] for t in streams(files["A talk.mp4"])] == ["audio", "audio", "subtitle"]
    assert "RESOLUTION" not in files["hls/master.m3u8"].read_text()
