"""What people get: HLS and an MP4 with every language as a track, a poster, the waveform.

One ffmpeg makes HLS and MP4 together. The video is copied where its codec and its keyframes allow, else encoded once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from media_pipeline import languages
from media_pipeline.contract import (
    ArtifactType,
    BaseStage,
    Deadline,
    Produced,
    StageContext,
    StageResult,
)
from media_pipeline.tools import hls, pcm
from media_pipeline.tools.hls import SEGMENT_SECONDS, Rendition, Variant
from media_pipeline.tools.process import Limits, run
from media_pipeline.tools.subtitle_formats import parse_vtt

LONGEST_GOP = 10.0
"""Seconds; a film with rarer keyframes cannot be cut into segments of about six seconds."""
COPYABLE_PIXELS = {"yuv420p", "yuvj420p"}
AUDIO = ("-c:a", "aac", "-b:a", "160k", "-ar", "48000", "-ac", "2")
FILE_NAME = re.compile(r"[^\w .()-]+")
PEAKS_A_SECOND = 20
PEAKS_RATE = 8000


@dataclass(frozen=True, slots=True)
class Track:
    """One audio track: the input's number for ffmpeg and whether it can be copied."""

    language: str
    path: Path
    copy: bool


class Package(BaseStage):
    """Every track is as long as the film."""

    name = "package"
    consumes = (ArtifactType.SOURCE_MEDIA, ArtifactType.PROBE, ArtifactType.SPEECH, ArtifactType.SUBTITLES)
    optional = (ArtifactType.DUB,)
    produces = (ArtifactType.HLS, ArtifactType.MP4, ArtifactType.POSTER, ArtifactType.PEAKS)
    deadline = Deadline(fixed=600, per_media_second=6)

    def run(self, ctx: StageContext) -> StageResult:
        source = ctx.input(ArtifactType.SOURCE_MEDIA).path
        probe = ctx.facts("probe")
        seconds = float(probe["duration"])
        has_video = bool(probe.get("has_video"))
        tracks = [_original(ctx, source, seconds), *_dubs(ctx)]
        titles = hls.unique_names([languages.native_name(track.language) for track in tracks])
        (ctx.work / "hls").mkdir()
        copied = has_video and _copyable(source, seconds)
        packer = Packer(ctx, source, tracks, titles, seconds, has_video=has_video, copy=copied)
        packer.pack()
        if copied and hls.read_playlist(ctx.work / "hls/video/index.m3u8").longest > LONGEST_GOP:
            copied = False
            packer = Packer(ctx, source, tracks, titles, seconds, has_video=True, copy=False)
            packer.pack()
        made = _hls_files(ctx, packer, probe, seconds)
        made.append(Produced(packer.mp4.name, packer.mp4, ArtifactType.MP4, "video/mp4"))
        made += _poster(ctx, source, seconds) if has_video else []
        made.append(_peaks(ctx))
        facts = {
            "video_copied": copied,
            "seconds": seconds,
            "audio_tracks": [track.language for track in tracks],
            "subtitle_tracks": packer.subtitle_languages,
        }
        return StageResult(made, facts)


def _original(ctx: StageContext, source: Path, seconds: float) -> Track:
    streams = _streams(source, "a:0")
    stream = streams[0] if streams else {}
    length = float(stream.get("duration") or 0.0)
    copy = (
        stream.get("codec_name") == "aac"
        and stream.get("profile") == "LC"
        and stream.get("channels") == 2
        and stream.get("sample_rate") == "48000"
        and abs(length - seconds) < 0.1
    )
    return Track(ctx.source_language, source, copy)


def _dubs(ctx: StageContext) -> list[Track]:
    by_language = {dub.language: dub.path for dub in ctx.inputs(ArtifactType.DUB)}
    return [Track(code, by_language[code], copy=True) for code in ctx.target_languages if code in by_language]


def _copyable(source: Path, seconds: float) -> bool:
    stream = next(iter(_streams(source, "v:0")), {})
    return stream.get("codec_name") == "h264" and stream.get("pix_fmt") in COPYABLE_PIXELS


def _streams(source: Path, which: str) -> list[dict[str, Any]]:
    done = run(
        [
            *("ffprobe", "-v", "error", "-protocol_whitelist", "file", "-select_streams", which),
            *("-show_streams", "-of", "json", str(source)),
        ],
        limits=Limits(seconds=120),
    )
    found: list[dict[str, Any]] = json.loads(done.stdout).get("streams", [])
    return found


class Packer:
    """Builds and runs the one command."""

    def __init__(
        self,
        ctx: StageContext,
        source: Path,
        tracks: Sequence[Track],
        titles: Sequence[str],
        seconds: float,
        *,
        has_video: bool,
        copy: bool,
    ) -> None:
        self.ctx, self.source, self.tracks, self.titles = ctx, source, list(tracks), list(titles)
        self.seconds, self.has_video, self.copy = seconds, has_video, copy
        self.mp4 = ctx.work / f"{file_name(ctx.title)}.mp4"
        subtitles = {f.language: f.path for f in ctx.inputs(ArtifactType.SUBTITLES) if f.name.endswith(".vtt")}
        order = [ctx.source_language, *ctx.target_languages]
        self.subtitles = [(code, subtitles[code]) for code in order if code in subtitles]
        self.subtitle_languages = [code for code, _ in self.subtitles]

    def pack(self) -> None:
        """HLS of video and audio, and the MP4. Encoded video is made first, so that both copy the same."""
        video = self.source
        if self.has_video and not self.copy:
            video = self._encode_video()
        inputs, audio_maps = self._inputs(video)
        shown = [pair for pair in self.subtitles if parse_vtt(pair[1].read_text(encoding="utf-8"))]
        first_subtitle = len(inputs)
        inputs += [path for _, path in shown]
        argv = ["ffmpeg", "-nostdin", "-hide_banner", "-loglevel", "error", "-protocol_whitelist", "file,pipe", "-y"]
        for path in inputs:
            argv += ["-i", str(path)]
        argv += self._hls_outputs(audio_maps)
        argv += self._mp4_output(audio_maps, shown, first_subtitle)
        run(argv, limits=Limits(seconds=4 * 3600), check=self.ctx.check_cancelled)

    def _inputs(self, video: Path) -> tuple[list[Path], list[str]]:
        inputs = [video]
        maps = []
        for track in self.tracks:
            if track.path not in inputs:
                inputs.append(track.path)
            maps.append(f"{inputs.index(track.path)}:a:0")
        return inputs, maps

    def _encode_video(self) -> Path:
        out = self.ctx.work / "video.mp4"
        run(
            [
                *("ffmpeg", "-nostdin", "-hide_banner", "-loglevel", "error", "-protocol_whitelist", "file", "-y"),
                *("-i", str(self.source), "-map", "0:v:0", "-an", "-sn", "-dn"),
                *("-vf", "scale=trunc(iw/2)*2:trunc(ih/2)*2", "-pix_fmt", "yuv420p"),
                *("-c:v", "libx264", "-preset", "veryfast", "-crf", "21"),
                *("-force_key_frames", "expr:gte(t,n_forced*2)", "-t", f"{self.seconds:.3f}", str(out)),
            ],
            limits=Limits(seconds=8 * 3600),
            check=self.ctx.check_cancelled,
        )
        return out

    def _hls_outputs(self, maps: Sequence[str]) -> list[str]:
        argv: list[str] = []
        length = ["-t", f"{self.seconds:.3f}"]
        if self.has_video:
            argv += ["-map", "0:v:0", "-c:v", "copy", *length, *self._hls_muxer("video")]
        for map_, track in zip(maps, self.tracks, strict=True):
            argv += ["-map", map_, *self._audio(track), *length, *self._hls_muxer(f"audio-{track.language}")]
        return argv

    def _audio(self, track: Track) -> list[str]:
        if track.copy:
            return ["-c:a", "copy"]
        return [*AUDIO, "-af", "aresample=async=1:first_pts=0,apad"]

    def _hls_muxer(self, name: str) -> list[str]:
        folder = self.ctx.work / "hls" / name
        folder.mkdir(exist_ok=True)
        for old in folder.iterdir():
            old.unlink()
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
        argv += ["-c:v", "copy", "-c:s", "mov_text"]
        for number, track in enumerate(self.tracks):
            argv += _per_stream(self._audio(track), number)
            argv += [f"-metadata:s:a:{number}", f"language={languages.iso639_2(track.language)}"]
            argv += [f"-metadata:s:a:{number}", f"handler_name={self.titles[number]}"]
            argv += [f"-metadata:s:a:{number}", f"title={self.titles[number]}"]
            argv += [f"-disposition:a:{number}", "default" if number == 0 else "0"]
        for number, (code, _) in enumerate(shown):
            argv += [f"-metadata:s:s:{number}", f"language={languages.iso639_2(code)}"]
            argv += [f"-metadata:s:s:{number}", f"handler_name={languages.native_name(code)}"]
        title = ["-metadata", f"title={self.ctx.title}"]
        return [*argv, *title, "-t", f"{self.seconds:.3f}", "-movflags", "+faststart", str(self.mp4)]


def _per_stream(options: Sequence[str], number: int) -> list[str]:
    """The same audio options for one stream of many: ``-c:a`` becomes ``-c:a:1``, ``-af`` ``-filter:a:1``."""
    names = {"-c:a": "-c:a:{}", "-b:a": "-b:a:{}", "-ar": "-ar:a:{}", "-ac": "-ac:a:{}", "-af": "-filter:a:{}"}
    return [names[part].format(number) if part in names else part for part in options]


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


def _poster(ctx: StageContext, source: Path, seconds: float) -> list[Produced]:
    """A frame from the first tenth that looks like its neighbours, and so is neither black nor a flash."""
    path = ctx.work / "poster.jpg"
    run(
        [
            *("ffmpeg", "-nostdin", "-hide_banner", "-loglevel", "error", "-protocol_whitelist", "file", "-y"),
            *("-ss", f"{seconds * 0.1:.3f}", "-i", str(source), "-map", "0:v:0"),
            *("-vf", "thumbnail=24,scale='min(1280,iw)':-2", "-frames:v", "1", "-q:v", "3", str(path)),
        ],
        limits=Limits(seconds=300),
        check=ctx.check_cancelled,
    )
    return [Produced("poster.jpg", path, ArtifactType.POSTER, "image/jpeg")] if path.exists() else []


def _peaks(ctx: StageContext) -> Produced:
    """Lowest and highest sample of each twentieth of a second, -128 to 127, as audiowaveform writes them."""
    block = PEAKS_RATE // PEAKS_A_SECOND
    data: list[int] = []
    source = ctx.input(ArtifactType.SPEECH).path
    for samples in pcm.stream(source, rate=PEAKS_RATE, block=block * 400, check=ctx.check_cancelled):
        rows = np.pad(samples, (0, -len(samples) % block)).reshape(-1, block)
        pairs = np.stack([rows.min(axis=1) * 128, rows.max(axis=1) * 127], axis=1)
        data += np.clip(pairs.round(), -128, 127).astype(int).ravel().tolist()
    path = ctx.work / "peaks.json"
    head = {"version": 2, "channels": 1, "sample_rate": PEAKS_RATE, "samples_per_pixel": block, "bits": 8}
    path.write_text(json.dumps({**head, "length": len(data) // 2, "data": data}), encoding="utf-8")
    return Produced("peaks.json", path, ArtifactType.PEAKS, "application/json")
