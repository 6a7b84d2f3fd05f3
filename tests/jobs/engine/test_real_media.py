"""Whole jobs on films that are short, silent or odd: every stage is real, only the processes are one."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from assets import storage
from assets.services.creation import ReceivedFile, asset_create
from jobs.models import Artifact, Job
from jobs.services.submission import JobRequest, job_submit
from jobs.state import JobStatus
from tests.jobs.engine.conftest import Engine

SPEECH = "flite=text='People have always wanted to understand each other.':voice=rms"


@pytest.fixture
def dub(engine: Engine, user: Any, tmp_path: Path) -> Callable[..., Job]:
    """``dub(name, *ffmpeg_arguments, kind="dub")``: make the film, upload it, run the whole job."""

    def run(name: str, *args: str, kind: str = "dub", languages: tuple[str, ...] = ("es",)) -> Job:
        path = tmp_path / name
        subprocess.run(["ffmpeg", "-nostdin", "-v", "error", *args, str(path)], check=True)
        received = ReceivedFile(path=path, filename=name, size=path.stat().st_size, sha256=f"{hash(name):064x}"[-64:])
        asset = asset_create(owner=user, received=received)
        request = JobRequest(kind=kind, asset_id=asset.pk, source_language="en", target_languages=languages)
        job = job_submit(owner=user, request=request)
        engine.work()
        return Job.objects.get(pk=job.pk)

    return run


def content(job: Job, name: str) -> Any:
    artifact = Artifact.objects.filter(job=job, name=name).order_by("-run__position").first()
    assert artifact, f"there is no {name}"
    data = storage.read_bytes(artifact.storage_key)
    return json.loads(data) if name.endswith(".json") else data


def seconds(job: Job, name: str, tmp_path: Path) -> float:
    path = tmp_path / Path(name).name
    path.write_bytes(content(job, name))
    shown = subprocess.run(
        ["ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", path],
        capture_output=True,
        check=True,
    )
    return float(shown.stdout)


def test_a_silent_film_ends_with_an_empty_transcript_and_a_warning(dub: Any, tmp_path: Path) -> None:
    job = dub(
        "silent.mp4",
        *("-f", "lavfi", "-i", "testsrc2=size=160x90:rate=25", "-f", "lavfi", "-i", "anullsrc=r=48000:cl=stereo"),
        *("-t", "4", "-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac"),
    )
    assert job.status == JobStatus.SUCCEEDED, job.error
    assert any("No speech" in warning for warning in job.warnings)
    assert content(job, "segments_src.json")["segments"] == []
    assert content(job, "segments.es.json")["segments"] == []
    assert seconds(job, "silent.mp4", tmp_path) == pytest.approx(4, abs=0.15)
    assert b'LANGUAGE="es"' in content(job, "hls/master.m3u8")


def test_music_alone_is_no_reason_to_fail(dub: Any) -> None:
    job = dub("tune.mp3", "-f", "lavfi", "-i", "sine=frequency=440:duration=3", "-c:a", "libmp3lame")
    assert job.status == JobStatus.SUCCEEDED, job.error


def test_a_film_shorter_than_a_word(dub: Any) -> None:
    job = dub(
        "blink.mp4",
        *("-f", "lavfi", "-i", "testsrc2=size=160x90:rate=25", "-f", "lavfi", "-i", "sine=frequency=440"),
        *("-t", "0.4", "-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac"),
    )
    assert job.status == JobStatus.SUCCEEDED, job.error


def test_an_odd_picture_and_sound_that_begins_late(dub: Any, tmp_path: Path) -> None:
    job = dub(
        "odd.mkv",
        *("-f", "lavfi", "-i", "testsrc2=size=101x75:rate=12", "-itsoffset", "1.5", "-f", "lavfi", "-i", SPEECH),
        *("-shortest", "-pix_fmt", "yuv444p", "-c:v", "libx264", "-preset", "ultrafast"),
        *("-c:a", "libopus", "-ar", "48000"),
    )
    assert job.status == JobStatus.SUCCEEDED, job.error
    (segment,) = content(job, "segments_src.json")["segments"]
    assert "understand" in segment["text"].lower()
    assert segment["start"] == pytest.approx(1.5, abs=0.4)
    dubbed = content(job, "segments.es.json")["segments"][0]
    assert dubbed["start"] == pytest.approx(segment["start"], abs=0.3)


def test_a_voice_recording_without_picture_is_subtitled(dub: Any) -> None:
    job = dub("voice.wav", "-f", "lavfi", "-i", SPEECH, "-ar", "8000", kind="subtitle", languages=("es", "ca"))
    assert job.status == JobStatus.SUCCEEDED, job.error
    for language in ("en", "es", "ca"):
        assert b"-->" in content(job, f"subtitles.{language}.vtt")
