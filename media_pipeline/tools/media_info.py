"""What a media file is, as its content says: names, headers and endings are not believed."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from media_pipeline import languages
from media_pipeline.errors import MediaRefused, ToolFailed, ToolTimedOut
from media_pipeline.providers.base import Check, no_check
from media_pipeline.tools.ffmpeg import MOST_PIXELS, MOST_STREAMS, QUIET, ffprobe, users_file
from media_pipeline.tools.process import Limits, run

LIMITS = Limits(seconds=120, memory=1 << 30, cpu_seconds=120)
LONG_LIMITS = Limits(seconds=1800, memory=1 << 30, cpu_seconds=1800)
LENGTH_TOLERANCE_SECONDS, LENGTH_TOLERANCE_SHARE = 1.0, 0.02
PLAYLISTS = (b"#EXTM3U", b"ffconcat", b";FFMETADATA", b"v=0\r", b"v=0\n", b"<?xml", b"<svg", b"[playlist]", b"<MPD")
PICTURE = re.compile(r"Picture size (\d+)x(\d+) ")
TIME = re.compile(r"time=(-?)(\d+):(\d\d):(\d\d\.\d+)")


@dataclass(frozen=True, slots=True)
class MediaInfo:
    """``duration``: seconds as decoded; ``streams``: as ``Asset.streams`` has them; video fields are 0 or "" without
    video."""

    container: str
    duration: float
    streams: tuple[dict[str, Any], ...]
    video_codec: str = ""
    width: int = 0
    height: int = 0
    fps: float = 0.0

    @property
    def has_video(self) -> bool:
        """Whether there are moving pictures; a cover is none."""
        return bool(self.video_codec)

    def facts(self) -> dict[str, Any]:
        """What later stages need."""
        return {
            "duration": self.duration,
            "has_video": self.has_video,
            "width": self.width,
            "height": self.height,
            "fps": self.fps,
            "video_codec": self.video_codec,
        }

    def to_json(self) -> dict[str, Any]:
        """All fields."""
        return asdict(self)


def probe_file(path: Path, *, check: Check = no_check) -> MediaInfo:
    """Look into a file. Raises MediaRefused with a code and a sentence for the user."""
    _look_at_start(path)
    report = _ffprobe(path, check)
    streams = report.get("streams", [])
    if len(streams) > MOST_STREAMS:
        raise MediaRefused(
            f"The file has {len(streams)} streams; {MOST_STREAMS} are the most that can be worked on.",
            code="too_many_streams",
        )
    audio = [s for s in streams if s.get("codec_type") == "audio"]
    video = [s for s in streams if s.get("codec_type") == "video" and not _is_cover(s)]
    _check_streams(audio, video, streams)
    claimed = float(report.get("format", {}).get("duration") or 0.0)
    duration = _decoded_seconds(path, check)
    _check_length(claimed, duration)
    shown = video[0] if video else {}
    return MediaInfo(
        container=str(report.get("format", {}).get("format_name", "")),
        duration=round(duration, 3),
        streams=tuple(_described(s) for s in (*video, *audio)),
        video_codec=str(shown.get("codec_name", "")),
        width=int(shown.get("width") or 0),
        height=int(shown.get("height") or 0),
        fps=_rate(shown),
    )


REASONS: Mapping[str, str] = {
    "truncated": "The file is cut short: its index is missing. Upload it again, whole.",
    "too_many_streams": f"The file has more than {MOST_STREAMS} streams.",
    "playlist": "The file is a playlist or of a format that is not taken.",
    "not_media": "The file is not audio or video that can be read.",
}


def _look_at_start(path: Path) -> None:
    with path.open("rb") as stream:
        start = stream.read(4096)
    if not start:
        raise MediaRefused("The file is empty.", code="empty_file")
    if start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(PLAYLISTS):
        raise MediaRefused("The file is a playlist or a description, not media itself.", code="playlist")


def _ffprobe(path: Path, check: Check) -> dict[str, Any]:
    argv = ffprobe(path, "-show_format", "-show_streams", "-of", "json", streams=1000)
    try:
        done = run(argv, limits=LIMITS, check=check)
    except ToolTimedOut:
        raise
    except ToolFailed as error:
        code = _code(error.detail)
        if code == "truncated" and not _begins_as_media(path):
            code = "not_media"  # ffprobe believed the name
        raise MediaRefused(REASONS[code], code=code) from error
    for wide, high in PICTURE.findall(done.stderr):
        _check_pixels(int(wide) * int(high))
    found: dict[str, Any] = json.loads(done.stdout or b"{}")
    return found


def _code(detail: str) -> str:
    if "moov atom not found" in detail or "End of file" in detail:
        return "truncated"
    if "max_streams" in detail:
        return "too_many_streams"
    if "not in whitelist" in detail:
        return "playlist"
    return "not_media"


def _begins_as_media(path: Path) -> bool:
    """Whether the first bytes are those of a container that we take (ISO 14496-12 4.2, RFC 9559 11, RIFF, Ogg)."""
    with path.open("rb") as stream:
        start = stream.read(12)
    boxes = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"styp")
    return start[4:8] in boxes or start.startswith((b"\x1a\x45\xdf\xa3", b"RIFF", b"OggS", b"fLaC", b"ID3", b"FLV"))


def _is_cover(stream: Mapping[str, Any]) -> bool:
    return bool(stream.get("disposition", {}).get("attached_pic"))


def _check_pixels(pixels: int) -> None:
    if pixels > MOST_PIXELS:
        raise MediaRefused(f"The picture has {pixels:,} pixels; {MOST_PIXELS:,} are the most.", code="too_many_pixels")


def _check_streams(audio: Sequence[Any], video: Sequence[Any], streams: Sequence[Any]) -> None:
    for stream in streams:
        _check_pixels(int(stream.get("width") or 0) * int(stream.get("height") or 0))
    if not audio:
        raise MediaRefused("The file has no audio, so there is nothing to translate.", code="no_audio")
    for stream in (*audio, *video):
        if stream.get("codec_name") in {None, "unknown", "none"}:
            raise MediaRefused("The file has a stream of an unknown codec.", code="unsupported_codec")


def _decoded_seconds(path: Path, check: Check) -> float:
    """Seconds of the longest track, by reading every packet: what the header claims does not count."""
    argv = [
        *("ffmpeg", *QUIET, "-stats", *users_file(path), "-map", "0:V:0?", "-map", "0:a:0"),
        *("-c", "copy", "-f", "null", "-"),
    ]
    try:
        done = run(argv, limits=LONG_LIMITS, check=check)
    except ToolTimedOut:
        raise
    except ToolFailed as error:
        raise MediaRefused("The file cannot be read to its end.", code="truncated") from error
    times = TIME.findall(done.stderr)
    if not times or times[-1][0] == "-":
        raise MediaRefused("The file has no sound that can be decoded.", code="no_audio")
    _, hours, minutes, seconds = times[-1]
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


def _check_length(claimed: float, duration: float) -> None:
    if duration <= 0:
        raise MediaRefused("The file has no content.", code="truncated")
    slack = max(LENGTH_TOLERANCE_SECONDS, LENGTH_TOLERANCE_SHARE * claimed)
    if claimed - duration > slack:
        raise MediaRefused(
            f"The file says that it is {claimed:.1f} s long, and ends after {duration:.1f} s: it is cut short.",
            code="truncated",
        )
    if duration - claimed > slack and claimed:
        raise MediaRefused(
            f"The file says that it is {claimed:.1f} s long, and goes on for {duration:.1f} s.", code="wrong_length"
        )


def _described(stream: Mapping[str, Any]) -> dict[str, Any]:
    described = {"type": stream.get("codec_type"), "codec": stream.get("codec_name")}
    if stream.get("codec_type") == "video":
        described |= {"width": stream.get("width"), "height": stream.get("height"), "fps": _rate(stream)}
    else:
        rate = stream.get("sample_rate")
        described |= {"channels": stream.get("channels"), "sample_rate": int(rate) if rate else None}
    if language := stream.get("tags", {}).get("language"):
        described["language"] = languages.normalise(language)
    return described


def _rate(stream: Mapping[str, Any]) -> float:
    for name in ("avg_frame_rate", "r_frame_rate"):
        text = str(stream.get(name) or "0/0")
        if not text.endswith("/0") and Fraction(text) > 0:
            return round(float(Fraction(text)), 3)
    return 0.0
