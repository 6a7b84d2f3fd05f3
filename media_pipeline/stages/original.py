"""The original's own tracks, ready to be copied into packages; its poster and its waveform.

Nothing of this depends on a language, so it is made beside the recognition, and is there already when a line is edited
or a language is added.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from media_pipeline.contract import ArtifactType, BaseStage, Deadline, Produced, StageContext, StageResult
from media_pipeline.tools import pcm
from media_pipeline.tools.ffmpeg import ffmpeg, ffprobe, users_file
from media_pipeline.tools.process import Limits, run

LONGEST_GOP = 10.0
"""Seconds; a film with rarer keyframes cannot be cut into segments of about six seconds."""
COPYABLE_PIXELS = {"yuv420p", "yuvj420p"}
AUDIO = ("-c:a", "aac", "-aac_coder", "fast", "-b:a", "160k", "-ar", "48000", "-ac", "2")
PEAKS_A_SECOND = 20
PEAKS_RATE = 8000


class Original(BaseStage):
    """Video is encoded, once, only where it cannot be copied; sound is as long as the film."""

    name = "original"
    consumes = (ArtifactType.SOURCE_MEDIA, ArtifactType.PROBE)
    produces = (ArtifactType.VIDEO, ArtifactType.ORIGINAL, ArtifactType.POSTER, ArtifactType.PEAKS)
    deadline = Deadline(fixed=600, per_media_second=6)

    def run(self, ctx: StageContext) -> StageResult:
        source = ctx.input(ArtifactType.SOURCE_MEDIA).path
        probe = ctx.facts("probe")
        seconds, has_video = float(probe["duration"]), bool(probe.get("has_video"))
        made = [_sound(ctx, source, seconds)]
        copied = has_video and _video_copyable(ctx, source, seconds)
        if has_video and not copied:
            made.append(_encoded_video(ctx, source, seconds))
        made += _poster(ctx, source, seconds) if has_video else []
        made.append(_peaks(ctx, source))
        return StageResult(made, {"video_copied": copied})


def _sound(ctx: StageContext, source: Path, seconds: float) -> Produced:
    """The original's sound as AAC-LC, stereo, 48 kHz: copied when it is that already."""
    stream = next(iter(_streams(source, "a:0")), {})
    path = ctx.work / "original.m4a"
    coded = ["-c:a", "copy"] if _sound_copyable(stream, seconds) else [*AUDIO, "-af", _filled(seconds)]
    ffmpeg(
        *users_file(source),
        *("-map", "0:a:0", "-vn", *coded, "-t", f"{seconds:.3f}", str(path)),
        check=ctx.check_cancelled,
    )
    return Produced(path.name, path, ArtifactType.ORIGINAL, "audio/mp4", public=False)


def _sound_copyable(stream: dict[str, Any], seconds: float) -> bool:
    return (
        stream.get("codec_name") == "aac"
        and stream.get("profile") == "LC"
        and stream.get("channels") == 2
        and stream.get("sample_rate") == "48000"
        and abs(float(stream.get("duration") or 0.0) - seconds) < 0.1
        and abs(float(stream.get("start_time") or 0.0)) < 0.03
    )


def _filled(seconds: float) -> str:
    return f"aresample=async=1:first_pts=0,apad=whole_dur={seconds:.3f}"


def _video_copyable(ctx: StageContext, source: Path, seconds: float) -> bool:
    stream = next(iter(_streams(source, "v:0")), {})
    if stream.get("codec_name") != "h264" or stream.get("pix_fmt") not in COPYABLE_PIXELS:
        return False
    return _longest_gop(ctx, source, seconds) <= LONGEST_GOP


def _longest_gop(ctx: StageContext, source: Path, seconds: float) -> float:
    """The longest time between two keyframes, by the packets' flags: nothing is decoded."""
    longest, before = 0.0, 0.0

    def take(line: str) -> None:
        nonlocal longest, before
        at, _, flags = line.partition(",")
        if "K" in flags and at not in {"", "N/A"}:
            longest, before = max(longest, float(at) - before), float(at)

    run(
        ffprobe(source, "-select_streams", "v:0", "-show_entries", "packet=pts_time,flags", "-of", "csv=p=0"),
        limits=Limits(seconds=3600),
        check=ctx.check_cancelled,
        on_line=take,
    )
    return max(longest, seconds - before)


def _encoded_video(ctx: StageContext, source: Path, seconds: float) -> Produced:
    path = ctx.work / "video.mp4"
    ffmpeg(
        *users_file(source),
        *("-map", "0:v:0", "-an", "-sn", "-dn"),
        *("-vf", "scale=trunc(iw/2)*2:trunc(ih/2)*2", "-pix_fmt", "yuv420p"),
        *("-c:v", "libx264", "-preset", "veryfast", "-crf", "21"),
        *("-force_key_frames", "expr:gte(t,n_forced*2)", "-t", f"{seconds:.3f}", str(path)),
        seconds=8 * 3600,
        check=ctx.check_cancelled,
    )
    return Produced(path.name, path, ArtifactType.VIDEO, "video/mp4", public=False)


def _poster(ctx: StageContext, source: Path, seconds: float) -> list[Produced]:
    """A frame from the first tenth that looks like its neighbours, and so is neither black nor a flash."""
    path = ctx.work / "poster.jpg"
    ffmpeg(
        *("-ss", f"{seconds * 0.1:.3f}", *users_file(source), "-map", "0:v:0"),
        *("-vf", "thumbnail=24,scale='min(1280,iw)':-2", "-frames:v", "1", "-q:v", "3", str(path)),
        check=ctx.check_cancelled,
    )
    return [Produced("poster.jpg", path, ArtifactType.POSTER, "image/jpeg")] if path.exists() else []


def _peaks(ctx: StageContext, source: Path) -> Produced:
    """Lowest and highest sample of each twentieth of a second, -128 to 127, as audiowaveform writes them."""
    block = PEAKS_RATE // PEAKS_A_SECOND
    data: list[int] = []
    for samples in pcm.stream(source, rate=PEAKS_RATE, block=block * 400, check=ctx.check_cancelled):
        rows = np.pad(samples, (0, -len(samples) % block)).reshape(-1, block)
        pairs = np.stack([rows.min(axis=1) * 128, rows.max(axis=1) * 127], axis=1)
        data += np.clip(pairs.round(), -128, 127).astype(int).ravel().tolist()
    path = ctx.work / "peaks.json"
    head = {"version": 2, "channels": 1, "sample_rate": PEAKS_RATE, "samples_per_pixel": block, "bits": 8}
    path.write_text(json.dumps({**head, "length": len(data) // 2, "data": data}), encoding="utf-8")
    return Produced("peaks.json", path, ArtifactType.PEAKS, "application/json")


def _streams(source: Path, which: str) -> list[dict[str, Any]]:
    done = run(ffprobe(source, "-select_streams", which, "-show_streams", "-of", "json"), limits=Limits(seconds=120))
    found: list[dict[str, Any]] = json.loads(done.stdout).get("streams", [])
    return found
