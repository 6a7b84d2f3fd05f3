"""What people get: HLS and an MP4 with every language as a track.

One ffmpeg makes HLS and MP4 together, and copies everything: the stages before made what can be copied.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from media_pipeline import languages
from media_pipeline.contract import (
    ArtifactType,
    BaseStage,
    Deadline,
    Produced,
    StageContext,
    StageResult,
)
from media_pipeline.tools import hls
from media_pipeline.tools.ffmpeg import ffmpeg, own_file, users_file
from media_pipeline.tools.hls import SEGMENT_SECONDS, Rendition, Variant
from media_pipeline.tools.subtitle_formats import parse_vtt

FILE_NAME = re.compile(r"[^\w .()-]+")


@dataclass(frozen=True, slots=True)
class Track:
    """One audio track, ready to be copied."""

    language: str
    path: Path


class Package(BaseStage):
    """Every track is as long as the film."""

    name = "package"
    version = 2
    consumes = (
        ArtifactType.SOURCE_MEDIA,
        ArtifactType.PROBE,
        ArtifactType.ORIGINAL,
        ArtifactType.SUBTITLES,
    )
    optional = (ArtifactType.VIDEO, ArtifactType.DUB)
    produces = (ArtifactType.HLS, ArtifactType.MP4)
    deadline = Deadline(fixed=600, per_media_second=2)

    def run(self, ctx: StageContext) -> StageResult:
        encoded = ctx.inputs(ArtifactType.VIDEO)
        video = encoded[0].path if encoded else ctx.input(ArtifactType.SOURCE_MEDIA).path
        probe = ctx.facts("probe")
        seconds, has_video = float(probe["duration"]), bool(probe.get("has_video"))
        tracks = [Track(ctx.source_language, ctx.input(ArtifactType.ORIGINAL).path), *_dubs(ctx)]
        titles = hls.unique_names([languages.native_name(track.language) for track in tracks])
        (ctx.work / "hls").mkdir()
        packer = Packer(ctx, video, tracks, titles, seconds, has_video=has_video)
        packer.pack()
        made = _hls_files(ctx, packer, probe, seconds)
        made.append(Produced(packer.mp4.name, packer.mp4, ArtifactType.MP4, "video/mp4"))
        facts = {
            "video_copied": has_video and not encoded,
            "seconds": seconds,
            "audio_tracks": [track.language for track in tracks],
            "subtitle_tracks": packer.subtitle_languages,
        }
        return StageResult(made, facts)


def _dubs(ctx: StageContext) -> list[Track]:
    by_language = {dub.language: dub.path for dub in ctx.inputs(ArtifactType.DUB)}
    return [Track(code, by_language[code]) for code in ctx.target_languages if code in by_language]


class Packer:
    """Builds and runs the one command."""

    def __init__(
        self,
        ctx: StageContext,
        video: Path,
        tracks: Sequence[Track],
        titles: Sequence[str],
        seconds: float,
        *,
        has_video: bool,
    ) -> None:
        self.ctx, self.tracks, self.titles = ctx, list(tracks), list(titles)
        self.seconds, self.has_video = seconds, has_video
        self.video = [video] if has_video else []
        self.mp4 = ctx.work / f"{file_name(ctx.title)}.mp4"
        subtitles = {f.language: f.path for f in ctx.inputs(ArtifactType.SUBTITLES) if f.name.endswith(".vtt")}
        order = [ctx.source_language, *ctx.target_languages]
        self.subtitles = [(code, subtitles[code]) for code in order if code in subtitles]
        self.subtitle_languages = [code for code, _ in self.subtitles]

    def pack(self) -> None:
        """HLS of video and audio, and the MP4."""
        shown = [pair for pair in self.subtitles if parse_vtt(pair[1].read_text(encoding="utf-8"))]
        sounds = [track.path for track in self.tracks]
        argv: list[str] = []
        for path in self.video:
            argv += users_file(path)
        for path in [*sounds, *(path for _, path in shown)]:
            argv += own_file(path)
        maps = [f"{number}:a:0" for number in range(len(self.video), len(self.video) + len(sounds))]
        argv += self._hls_outputs(maps)
        argv += self._mp4_output(maps, shown, len(self.video) + len(sounds))
        ffmpeg(*argv, check=self.ctx.check_cancelled)

    def _hls_outputs(self, maps: Sequence[str]) -> list[str]:
        argv: list[str] = []
        length = ["-t", f"{self.seconds:.3f}"]
        if self.has_video:
            argv += ["-map", "0:v:0", "-c:v", "copy", *length, *self._hls_muxer("video")]
        for map_, track in zip(maps, self.tracks, strict=True):
            argv += ["-map", map_, "-c:a", "copy", *length, *self._hls_muxer(f"audio-{track.language}")]
        return argv

    def _hls_muxer(self, name: str) -> list[str]:
        folder = self.ctx.work / "hls" / name
        folder.mkdir()
        return [
            *("-f", "hls", "-hls_time", str(SEGMENT_SECONDS), "-hls_playlist_type", "vod"),
            *("-hls_segment_type", "fmp4", "-hls_fmp4_init_filename", "init.mp4"),
            *("-hls_segment_filename", str(folder / "seg_%05d.m4s"), str(folder / "index.m3u8")),
        ]

    def _mp4_output(self, maps: Sequence[str], shown: Sequence[tuple[str, Path]], first: int) -> list[str]:
        argv = ["-map", "0:v:0"] if self.has_video else []
        for map_ in maps:
            argv += ["-map", map_]
        for number in range(len(shown)):
            argv += ["-map", f"{first + number}:s:0"]
        argv += ["-c:v", "copy", "-c:a", "copy", "-c:s", "mov_text"]
        for number, track in enumerate(self.tracks):
            argv += [f"-metadata:s:a:{number}", f"language={languages.iso639_2(track.language)}"]
            argv += [f"-metadata:s:a:{number}", f"handler_name={self.titles[number]}"]
            argv += [f"-metadata:s:a:{number}", f"title={self.titles[number]}"]
            argv += [f"-disposition:a:{number}", "default" if number == 0 else "0"]
        for number, (code, _) in enumerate(shown):
            argv += [f"-metadata:s:s:{number}", f"language={languages.iso639_2(code)}"]
            argv += [f"-metadata:s:s:{number}", f"handler_name={languages.native_name(code)}"]
        title = ["-metadata", f"title={self.ctx.title}"]
        return [*argv, *title, "-t", f"{self.seconds:.3f}", "-movflags", "+faststart", str(self.mp4)]


def file_name(title: str) -> str:
    """A title as a file's name: no separators, no control characters, not hidden, not too long."""
    return FILE_NAME.sub("_", title).strip(" .")[:120] or "video"


def _hls_files(ctx: StageContext, packer: Packer, probe: Any, seconds: float) -> list[Produced]:
    root = ctx.work / "hls"
    names = hls.unique_names([languages.native_name(code) for code, _ in packer.subtitles])
    subtitles = []
    for (code, path), name in zip(packer.subtitles, names, strict=True):
        cues = parse_vtt(path.read_text(encoding="utf-8"))
        hls.write_subtitles(root / f"subtitles-{code}", cues, seconds)
        subtitles.append(Rendition(name, code, f"subtitles-{code}/index.m3u8", default=False))
    audio = [
        Rendition(title, track.language, f"audio-{track.language}/index.m3u8", default=number == 0)
        for number, (track, title) in enumerate(zip(packer.tracks, packer.titles, strict=True))
    ]
    (root / "master.m3u8").write_text(hls.master(_variant(root, audio, probe), audio, subtitles), encoding="utf-8")
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return [Produced(f"hls/{p.relative_to(root).as_posix()}", p, ArtifactType.HLS, _media_type(p)) for p in files]


def _variant(root: Path, audio: Sequence[Rendition], probe: Any) -> Variant:
    sound = [hls.bandwidths(root / track.uri) for track in audio]
    peak, average = max(s[0] for s in sound), max(s[1] for s in sound)
    if not probe.get("has_video"):
        return Variant(audio[0].uri, "mp4a.40.2", peak, average)
    video_peak, video_average = hls.bandwidths(root / "video/index.m3u8")
    return Variant(
        uri="video/index.m3u8",
        codecs=f"{hls.avc_codec(root / 'video/init.mp4')},mp4a.40.2",
        bandwidth=video_peak + peak,
        average_bandwidth=video_average + average,
        width=int(probe.get("width") or 0) // 2 * 2,
        height=int(probe.get("height") or 0) // 2 * 2,
        fps=float(probe.get("fps") or 25.0),
    )


def _media_type(path: Path) -> str:
    types = {".m3u8": "application/vnd.apple.mpegurl", ".vtt": "text/vtt", ".m4s": "video/iso.segment"}
    return types.get(path.suffix, "video/mp4")
