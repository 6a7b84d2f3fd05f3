"""The one door to ffmpeg and ffprobe: what every call of them carries, and what a user's file may make them do.

A user's file is opened with lists of formats and codecs (a playlist renamed .mp4 reads its neighbours otherwise), with
no protocol but files, with few streams and few pixels (a small PNG takes gigabytes otherwise), and under limits of
memory, time and written bytes; ``tools.process`` takes the network away and ends the whole group.
"""

from __future__ import annotations

from pathlib import Path

from media_pipeline.providers.base import Check, no_check
from media_pipeline.tools.process import Completed, Limits, run

FORMATS = ",".join(
    (
        *("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "avi", "mpegts", "mpeg", "mpegvideo", "flv", "ogg", "asf", "mxf"),
        *("wav", "w64", "aiff", "flac", "mp3", "aac", "ac3", "eac3", "amr", "caf", "au"),
    )
)
CODECS = ",".join(
    (
        *("h264", "hevc", "av1", "libdav1d", "libaom-av1", "vp8", "vp9", "libvpx", "libvpx-vp9", "theora", "mpeg4"),
        *("mpeg1video", "mpeg2video", "h263", "h263i", "h263p", "flv", "vp6", "vp6f", "msmpeg4v2", "msmpeg4", "wmv1"),
        *(
            "wmv2",
            "wmv3",
            "vc1",
            "prores",
            "dnxhd",
            "dvvideo",
            "mjpeg",
            "png",
            "rawvideo",
            "ffv1",
            "huffyuv",
            "cinepak",
        ),
        *("aac", "aac_latm", "mp3", "mp3float", "mp2", "mp2float", "ac3", "ac3_fixed", "eac3", "dca", "truehd", "opus"),
        *("libopus", "vorbis", "libvorbis", "flac", "alac", "wmav1", "wmav2", "wmapro", "amrnb", "amrwb", "gsm"),
        *("libopencore_amrnb", "libopencore_amrwb", "adpcm_ima_wav", "adpcm_ms", "adpcm_ima_qt", "speex", "libspeex"),
        *("pcm_alaw", "pcm_mulaw", "pcm_u8", "pcm_s8", "pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s24be"),
        *("pcm_s32le", "pcm_s32be", "pcm_f32le", "pcm_f32be", "pcm_f64le", "pcm_f64be", "pcm_bluray", "pcm_dvd"),
        *("mov_text", "srt", "subrip", "ass", "ssa", "webvtt", "text", "dvdsub", "dvbsub", "pgssub", "eia_608"),
    )
)
"""Names of decoders, as ``ffmpeg -decoders`` gives them."""
MOST_PIXELS = 40_000_000
MOST_STREAMS = 16
MEMORY = 3 << 30
QUIET = ("-nostdin", "-hide_banner", "-loglevel", "error")
SAFE_INPUT = (
    *("-protocol_whitelist", "file", "-format_whitelist", FORMATS, "-codec_whitelist", CODECS),
    *("-max_pixels", str(MOST_PIXELS)),
)


def users_file(path: Path, *, streams: int = MOST_STREAMS) -> tuple[str, ...]:
    """The options that open a file which came from outside, with ``-i`` and its path."""
    return (*SAFE_INPUT, "-max_streams", str(streams), "-i", str(path))


def own_file(path: Path) -> tuple[str, ...]:
    """The options that open a file which a stage of ours made."""
    return ("-protocol_whitelist", "file", "-i", str(path))


def command(*args: str) -> list[str]:
    """A call of ffmpeg that overwrites what it writes, for ``process.spawn``."""
    return ["ffmpeg", *QUIET, "-y", *args]


def ffmpeg(*args: str, seconds: float = 4 * 3600, check: Check = no_check) -> Completed:
    """Run ffmpeg to its end. Raises ToolFailed, ToolTimedOut, and what ``check`` raises."""
    return run(command(*args), limits=Limits(seconds=seconds, memory=MEMORY), check=check)


def ffprobe(path: Path, *args: str, streams: int = MOST_STREAMS) -> list[str]:
    """A call of ffprobe on a file which came from outside, for ``process.run``."""
    return ["ffprobe", "-v", "error", "-hide_banner", *SAFE_INPUT, "-max_streams", str(streams), *args, str(path)]
