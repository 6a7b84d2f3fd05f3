"""HTTP Live Streaming playlists (RFC 8216), written and read."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from media_pipeline.errors import ContractBroken
from media_pipeline.tools.subtitle_formats import clock
from media_pipeline.tools.subtitle_layout import Cue

SEGMENT_SECONDS = 6
SUBTITLE_SEGMENT_SECONDS = 30
EXTINF = re.compile(r"#EXTINF:([\d.]+)")


@dataclass(frozen=True, slots=True)
class Rendition:
    """An audio or subtitle track. ``language`` is BCP 47; ``uri`` is relative to the master."""

    name: str
    language: str
    uri: str
    default: bool


@dataclass(frozen=True, slots=True)
class Variant:
    """The video (or, without one, the sound) that the tracks belong to. Bandwidths are bits a second, all in."""

    uri: str
    codecs: str
    bandwidth: int
    average_bandwidth: int
    width: int = 0
    height: int = 0
    fps: float = 0.0


def master(variant: Variant, audio: Sequence[Rendition], subtitles: Sequence[Rendition]) -> str:
    """The master playlist. Names are unique within a group, exactly one audio track is the default."""
    lines = ["#EXTM3U", "#EXT-X-VERSION:7", "#EXT-X-INDEPENDENT-SEGMENTS", ""]
    lines += [_media("AUDIO", "audio", track) + ',CHANNELS="2"' for track in audio]
    lines += [_media("SUBTITLES", "subtitles", track) + ",FORCED=NO" for track in subtitles]
    stream = [f"BANDWIDTH={variant.bandwidth}", f"AVERAGE-BANDWIDTH={variant.average_bandwidth}"]
    stream.append(f'CODECS="{variant.codecs}"')
    if variant.width:
        stream += [f"RESOLUTION={variant.width}x{variant.height}", f"FRAME-RATE={variant.fps:.3f}"]
    stream.append('AUDIO="audio"')
    if subtitles:
        stream.append('SUBTITLES="subtitles"')
    lines += ["", "#EXT-X-STREAM-INF:" + ",".join(stream), variant.uri, ""]
    return "\n".join(lines)


def _media(type: str, group: str, track: Rendition) -> str:
    default = "YES" if track.default else "NO"
    name = track.name.replace('"', "'")
    return (
        f'#EXT-X-MEDIA:TYPE={type},GROUP-ID="{group}",NAME="{name}",LANGUAGE="{track.language}",'
        f'DEFAULT={default},AUTOSELECT=YES,URI="{track.uri}"'
    )


def unique_names(names: Sequence[str]) -> list[str]:
    """The names, numbered where one comes twice (RFC 8216 4.3.4.1.1 wants them unique in a group)."""
    seen: dict[str, int] = {}
    result = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        result.append(name if seen[name] == 1 else f"{name} {seen[name]}")
    return result


def write_subtitles(folder: Path, cues: Sequence[Cue], seconds: float) -> list[Path]:
    """A subtitle playlist as long as the film, and its WebVTT segments; a cue that spans two stands in both."""
    folder.mkdir(parents=True)
    count = max(1, math.ceil(seconds / SUBTITLE_SEGMENT_SECONDS))
    playlist = ["#EXTM3U", "#EXT-X-VERSION:7", f"#EXT-X-TARGETDURATION:{SUBTITLE_SEGMENT_SECONDS}"]
    playlist += ["#EXT-X-MEDIA-SEQUENCE:0", "#EXT-X-PLAYLIST-TYPE:VOD"]
    made = []
    for number in range(count):
        start = number * SUBTITLE_SEGMENT_SECONDS
        end = min(seconds, start + SUBTITLE_SEGMENT_SECONDS)
        path = folder / f"seg_{number:05d}.vtt"
        path.write_text(_segment([c for c in cues if c.start < end and c.end > start]), encoding="utf-8")
        playlist += [f"#EXTINF:{end - start:.3f},", path.name]
        made.append(path)
    index = folder / "index.m3u8"
    index.write_text("\n".join([*playlist, "#EXT-X-ENDLIST", ""]), encoding="utf-8")
    return [index, *made]


def _segment(cues: Sequence[Cue]) -> str:
    """Times are of the whole film; the map (RFC 8216 3.5) ties them to the media's zero."""
    blocks = ["WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00:00.000\n"]
    for cue in cues:
        text = cue.text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        blocks.append(f"{clock(cue.start)} --> {clock(cue.end)}\n{text}\n")
    return "\n".join(blocks)


@dataclass(frozen=True, slots=True)
class Playlist:
    """A media playlist as read: seconds in all, the longest segment, and its files in order."""

    seconds: float
    longest: float
    files: tuple[str, ...]


def read_playlist(path: Path) -> Playlist:
    """Read a media playlist of ours."""
    lines = path.read_text(encoding="utf-8").splitlines()
    lengths = [float(match[1]) for line in lines if (match := EXTINF.match(line))]
    files = tuple(line for line in lines if line and not line.startswith("#"))
    return Playlist(sum(lengths), max(lengths, default=0.0), files)


def bandwidths(playlist: Path) -> tuple[int, int]:
    """Highest of one segment, and average, in bits a second, by the files' real sizes."""
    lengths = [float(m[1]) for m in map(EXTINF.match, playlist.read_text(encoding="utf-8").splitlines()) if m]
    sizes = [8 * (playlist.parent / name).stat().st_size for name in read_playlist(playlist).files]
    peak = max((bits / length for bits, length in zip(sizes, lengths, strict=True) if length > 0.5), default=0.0)
    return math.ceil(peak), math.ceil(sum(sizes) / sum(lengths)) if lengths else 0


def avc_codec(init: Path) -> str:
    """``avc1.PPCCLL`` (RFC 6381) from the avcC box of an initialisation segment (ISO/IEC 14496-15)."""
    data = init.read_bytes()
    at = data.find(b"avcC")
    if at < 0:
        raise ContractBroken("The video of the HLS package is not H.264.")
    profile, compatible, level = data[at + 5 : at + 8]
    return f"avc1.{profile:02X}{compatible:02X}{level:02X}"
