"""Sound for recognition and for the mix, in one pass, and where speech is."""

from __future__ import annotations

from media_pipeline.contract import ArtifactType, BaseStage, Deadline, Produced, StageContext, StageResult
from media_pipeline.tools.ffmpeg import ffmpeg, users_file
from media_pipeline.tools.vad import speech_windows

FILLED = "aresample=async=1:first_pts=0"
"""Silence where the sound begins later than the picture or has gaps, so that times are those of the film."""
NO_SPEECH = "No speech was found in this file: subtitles and dub stay empty."


class Extract(BaseStage):
    """Streams: its memory does not grow with the film.

    Speech is plain WAV, 115 MB an hour: the recogniser reads pieces of it without a decoder.
    """

    name = "extract"
    version = 3
    consumes = (ArtifactType.SOURCE_MEDIA, ArtifactType.PROBE)
    produces = (ArtifactType.SPEECH, ArtifactType.BED)
    deadline = Deadline(fixed=300, per_media_second=1)

    def run(self, ctx: StageContext) -> StageResult:
        speech, bed = ctx.work / "speech.wav", ctx.work / "bed.flac"
        ffmpeg(
            *users_file(ctx.input(ArtifactType.SOURCE_MEDIA).path),
            *("-map", "0:a:0", "-af", FILLED, "-ac", "1", "-ar", "16000", "-c:a", "pcm_s16le", str(speech)),
            *("-map", "0:a:0", "-af", FILLED, "-ac", "2", "-ar", "48000", "-c:a", "flac", "-compression_level", "0"),
            *("-sample_fmt", "s16", str(bed)),
            check=ctx.check_cancelled,
        )
        windows = speech_windows(speech, check=ctx.check_cancelled)
        return StageResult(
            [
                Produced(speech.name, speech, ArtifactType.SPEECH, "audio/wav", public=False),
                Produced(bed.name, bed, ArtifactType.BED, "audio/flac", public=False),
            ],
            {
                "duration": ctx.facts("probe").get("duration"),
                "windows": [list(window) for window in windows],
                "speech_seconds": round(sum(end - start for start, end in windows), 3),
            },
            warnings=[] if windows else [NO_SPEECH],
        )
