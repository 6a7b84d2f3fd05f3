"""Subtitles of one language, the source's included, in three formats."""

from __future__ import annotations

from media_pipeline.contract import (
    ArtifactType,
    BaseStage,
    Produced,
    Queue,
    Scope,
    StageContext,
    StageResult,
)
from media_pipeline.segments import Segment, read_segments
from media_pipeline.tools import subtitle_formats
from media_pipeline.tools.subtitle_layout import Rules, lay_out, rules_for, violations

MEDIA_TYPES = {"vtt": "text/vtt", "srt": "application/x-subrip", "ttml": "application/ttml+xml"}
MOST_TOLD = 50


class Subtitles(BaseStage):
    """One run for each track: the source's waits for recognition only."""

    name = "subtitles"
    queue = Queue.IO
    scope = Scope.TRACK
    consumes = (ArtifactType.SEGMENTS_SRC, ArtifactType.PROBE)
    optional = (ArtifactType.SEGMENTS,)
    produces = (ArtifactType.SUBTITLES,)
    params = ("subtitle_profile",)

    def run(self, ctx: StageContext) -> StageResult:
        rules = rules_of(ctx)
        film = float(ctx.facts("probe").get("duration", 0.0))
        cues = lay_out(_segments(ctx), language=ctx.language, rules=rules, film_seconds=film)
        written = {
            "vtt": subtitle_formats.vtt(cues),
            "srt": subtitle_formats.srt(cues),
            "ttml": subtitle_formats.ttml(cues, language=ctx.language),
        }
        made = []
        for extension, text in written.items():
            path = ctx.work / f"subtitles.{ctx.language}.{extension}"
            path.write_text(text, encoding="utf-8")
            made.append(Produced(path.name, path, ArtifactType.SUBTITLES, MEDIA_TYPES[extension]))
        found = violations(cues, rules)
        facts = {"cues": len(cues), "violations": found[:MOST_TOLD], "violations_total": len(found)}
        return StageResult(made, facts)


def rules_of(ctx: StageContext, language: str = "") -> Rules:
    """The rules of the job's profile for this film."""
    probe = ctx.facts("probe")
    return rules_for(
        language or ctx.language,
        profile=ctx.params.get("subtitle_profile", "netflix"),
        fps=float(probe.get("fps") or 25.0),
        vertical=bool((probe.get("height") or 0) > (probe.get("width") or 0)),
    )


def _segments(ctx: StageContext) -> tuple[Segment, ...]:
    """The track's text; a translation has its source's times, but not its words'."""
    wanted = ArtifactType.SEGMENTS_SRC if ctx.language == ctx.source_language else ArtifactType.SEGMENTS
    return read_segments(ctx.input(wanted).path)
