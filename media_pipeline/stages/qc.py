"""What was promised, measured: every rule with its value, pass or fail, and the lines concerned."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from media_pipeline.contract import ArtifactType, BaseStage, Deadline, Produced, Queue, StageContext, StageResult
from media_pipeline.errors import PipelineError
from media_pipeline.segments import Segment, read_segments
from media_pipeline.stages.subtitles import rules_of
from media_pipeline.tools import ebur128, hls
from media_pipeline.tools.fit import MOST_SPEED
from media_pipeline.tools.subtitle_formats import parse_vtt
from media_pipeline.tools.subtitle_layout import violations
from media_pipeline.tools.wer import word_error_rate

LOUDNESS_TOLERANCE = 1.0
HIGHEST_TRUE_PEAK = -1.0
LENGTH_TOLERANCE = 0.25
AGAIN_SECONDS = 60.0
"""Of each dub, so much is recognised again: enough to notice a wrong language or a broken voice."""
SUBTITLE_RULES = ("characters_a_line", "lines", "reading_speed", "shortest", "longest", "gap")


@dataclass(frozen=True, slots=True)
class Rule:
    """One measured rule. ``lines`` are ids of segments."""

    rule: str
    language: str
    limit: float | str
    value: float | str
    unit: str
    passed: bool
    lines: list[str] = field(default_factory=list)


class Qc(BaseStage):
    """Measures the finished files; a rule that fails is told, it does not fail the job."""

    name = "qc"
    queue = Queue.IO
    consumes = (ArtifactType.PROBE, ArtifactType.SEGMENTS_SRC, ArtifactType.SUBTITLES, ArtifactType.HLS)
    optional = (ArtifactType.DUB, ArtifactType.SEGMENTS, ArtifactType.DUBBED_SEGMENTS)
    produces = (ArtifactType.QC,)
    uses = ("asr",)
    params = ("loudness", "subtitle_profile")
    deadline = Deadline(fixed=300, per_media_second=4)

    def run(self, ctx: StageContext) -> StageResult:
        rules = [*_dub_rules(ctx), *_subtitle_rules(ctx), *_stream_rules(ctx)]
        failed = [rule for rule in rules if not rule.passed]
        report = {
            "passed": not failed,
            "summary": f"{len(rules) - len(failed)} of {len(rules)} rules are kept.",
            "rules": [asdict(rule) for rule in rules],
            "speech_dubbed_share": _dubbed_share(ctx),
            "recognised_again": _recognised_again(ctx),
        }
        path = ctx.work / "qc.json"
        path.write_text(json.dumps(report, ensure_ascii=False, indent=1), encoding="utf-8")
        facts = {"passed": report["passed"], "rules": len(rules), "failed": len(failed)}
        return StageResult([Produced("qc.json", path, ArtifactType.QC, "application/json")], facts)


def _dubbed(ctx: StageContext) -> dict[str, tuple[Segment, ...]]:
    return {f.language: read_segments(f.path) for f in ctx.inputs(ArtifactType.DUBBED_SEGMENTS)}


def _dub_rules(ctx: StageContext) -> Iterable[Rule]:
    target = float(ctx.params.get("loudness", -16))
    lines = _dubbed(ctx)
    for dub in ctx.inputs(ArtifactType.DUB):
        heard = ebur128.measure(dub.path, check=ctx.check_cancelled)
        near = heard.silent or abs(heard.lufs - target) <= LOUDNESS_TOLERANCE
        yield Rule("loudness", dub.language, f"{target:g} ± {LOUDNESS_TOLERANCE:g}", heard.lufs, "LUFS", near)
        peak = heard.true_peak if heard.true_peak is not None else ebur128.SILENT
        yield Rule("true_peak", dub.language, HIGHEST_TRUE_PEAK, peak, "dBTP", peak <= HIGHEST_TRUE_PEAK)
        fitted = [s for s in lines.get(dub.language, ()) if s.fit]
        fastest = max((s.fit.speed for s in fitted if s.fit), default=1.0)
        hurried = [s.id for s in fitted if s.fit and s.fit.verdict == "squeezed"]
        yield Rule("speed", dub.language, MOST_SPEED, round(fastest, 3), "×", fastest <= MOST_SPEED + 0.02, hurried)
        over = [s for s in fitted if s.fit and s.fit.overflow > 0]
        most = max((s.fit.overflow for s in over if s.fit), default=0.0)
        yield Rule("overflow", dub.language, 0.0, most, "s", not over, [s.id for s in over])


def _subtitle_rules(ctx: StageContext) -> Iterable[Rule]:
    for file in ctx.inputs(ArtifactType.SUBTITLES):
        if not file.name.endswith(".vtt"):
            continue
        rules = rules_of(ctx, file.language)
        limits = {
            "characters_a_line": (rules.characters, "characters"),
            "lines": (rules.lines, "lines"),
            "reading_speed": (rules.reading_speed, "characters/s"),
            "shortest": (rules.shortest, "s"),
            "longest": (rules.longest, "s"),
            "gap": (rules.gap, "s"),
        }
        found = violations(parse_vtt(file.path.read_text(encoding="utf-8")), rules)
        for name in SUBTITLE_RULES:
            broken = [v for v in found if v["rule"] == name]
            values = [float(str(v["value"])) for v in broken]
            limit, unit = limits[name]
            worst = (min(values) if name in {"shortest", "gap"} else max(values)) if values else limit
            cues = [f"cue {v['cue']}" for v in broken]
            yield Rule(f"subtitles.{name}", file.language, round(limit, 3), round(worst, 3), unit, not broken, cues)


def _stream_rules(ctx: StageContext) -> Iterable[Rule]:
    seconds = float(ctx.facts("probe").get("duration", 0.0))
    for file in ctx.inputs(ArtifactType.HLS):
        if file.name.endswith("/index.m3u8"):
            length = hls.read_playlist(file.path).seconds
            near = abs(length - seconds) <= LENGTH_TOLERANCE
            track = file.name.split("/")[1]
            yield Rule("stream_length", track, round(seconds, 3), round(length, 3), "s", near)


def _dubbed_share(ctx: StageContext) -> dict[str, float]:
    """What share of the source's speech has a line in the dub, by time."""
    source = read_segments(ctx.input(ArtifactType.SEGMENTS_SRC).path)
    whole = sum(s.duration for s in source)
    shares = {}
    for language, segments in _dubbed(ctx).items():
        spoken = {s.source_id for s in segments if s.fit}
        done = sum(s.duration for s in source if s.id in spoken)
        shares[language] = round(done / whole, 4) if whole else 1.0
    return shares


def _recognised_again(ctx: StageContext) -> dict[str, Any]:
    """How far a second recognition of the dub is from its text (word error rate), where somebody hears its language."""
    hears = ctx.router.languages("asr")
    lines = _dubbed(ctx)
    found: dict[str, Any] = {}
    for dub in ctx.inputs(ArtifactType.DUB):
        if dub.language not in hears:
            found[dub.language] = f"not measured: no recogniser for {dub.language}"
            continue
        spoken = [s for s in lines.get(dub.language, ()) if s.fit and s.fit.start + s.fit.duration < AGAIN_SECONDS]
        if not spoken:
            continue
        end = max(s.fit.start + s.fit.duration for s in spoken if s.fit)
        try:
            heard = ctx.router.asr(dub.language).transcribe(
                dub.path, start=0.0, end=end + 0.5, language=dub.language, check=ctx.check_cancelled
            )
        except PipelineError as error:
            found[dub.language] = f"not measured: {error.detail}"
            continue
        text = " ".join(s.text for s in spoken)
        found[dub.language] = round(word_error_rate(text, " ".join(w.text for w in heard.words)), 4)
    return found
