"""What was promised, measured: every rule with its value, pass or fail, and the lines concerned.

Cheap by design: loudness and lengths of a dub were measured on the finished file by the stage that made it, and are
read from what it wrote; playlists and subtitles are read as text.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from media_pipeline.contract import (
    ArtifactType,
    BaseStage,
    Deadline,
    InputFile,
    Produced,
    StageContext,
    StageResult,
)
from media_pipeline.errors import Cancelled, LeaseLost, PipelineError
from media_pipeline.segments import Segment, read_segments
from media_pipeline.stages.subtitles import rules_of
from media_pipeline.tools import hls, pcm
from media_pipeline.tools.audio import write_wav
from media_pipeline.tools.fit import MOST_SPEED, TOLERANCE
from media_pipeline.tools.subtitle_formats import parse_vtt
from media_pipeline.tools.subtitle_layout import violations
from media_pipeline.tools.wer import word_error_rate

LOUDNESS_TOLERANCE = 1.0
HIGHEST_TRUE_PEAK = -1.0
DUB_LENGTH_TOLERANCE = 0.05
STREAM_LENGTH_TOLERANCE = 0.25
SPEECH_RATE = 16_000
AGAIN_SECONDS = 30.0
"""Of each dub, so much is recognised again: enough to notice a wrong language or a broken voice."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One measured rule. ``scope`` is a language, or "" for the whole; ``value`` is None where there was nothing to
    measure, which passes; ``lines`` are ids of segments, or ``cue 7``."""

    rule: str
    scope: str
    limit: float | str
    value: float | None
    unit: str
    passed: bool
    lines: tuple[str, ...] = ()


class Qc(BaseStage):
    """Measures the finished files; a rule that fails is told, it does not fail the job."""

    name = "qc"
    consumes = (ArtifactType.PROBE, ArtifactType.SEGMENTS_SRC, ArtifactType.SUBTITLES, ArtifactType.HLS)
    optional = (ArtifactType.DUB, ArtifactType.SEGMENTS, ArtifactType.DUBBED_SEGMENTS, ArtifactType.MP4)
    produces = (ArtifactType.QC,)
    uses = ("asr",)
    params = ("loudness", "subtitle_profile")
    deadline = Deadline(fixed=300, per_media_second=4)

    def run(self, ctx: StageContext) -> StageResult:
        film = float(ctx.facts("probe").get("duration", 0.0))
        dubs = {file.language: _Dub.read(file) for file in ctx.inputs(ArtifactType.DUBBED_SEGMENTS)}
        rules = [
            *(rule for language, dub in dubs.items() for rule in _dub_rules(language, dub, film)),
            *_subtitle_rules(ctx, film),
            *_stream_rules(ctx, film),
            *_track_rules(ctx, sorted(dubs)),
        ]
        failed = [rule for rule in rules if not rule.passed]
        report = {
            "passed": not failed,
            "summary": _summary(rules, failed),
            "rules": [{**asdict(rule), "lines": list(rule.lines)} for rule in rules],
            "speech_dubbed_share": _dubbed_share(ctx, dubs),
            "recognised_again": _recognised_again(ctx, dubs),
        }
        path = ctx.work / "qc.json"
        path.write_text(json.dumps(report, ensure_ascii=False, indent=1), encoding="utf-8")
        facts = {"passed": report["passed"], "rules": len(rules), "failed": len(failed)}
        return StageResult([Produced("qc.json", path, ArtifactType.QC, "application/json")], facts)


@dataclass(frozen=True, slots=True)
class _Dub:
    """A dub as the mix left it: what it measured of the whole, and its lines."""

    measured: Mapping[str, Any]
    segments: tuple[Segment, ...]

    @classmethod
    def read(cls, file: InputFile) -> _Dub:
        payload = json.loads(file.path.read_text(encoding="utf-8"))
        return cls(payload.get("dub", {}), read_segments(file.path))


def _dub_rules(language: str, dub: _Dub, film: float) -> Iterable[Rule]:
    measured = dub.measured
    target, lufs, peak = measured["target_lufs"], measured["lufs"], measured["true_peak_dbtp"]
    near = lufs is None or abs(lufs - target) <= LOUDNESS_TOLERANCE
    yield Rule("loudness", language, f"{target:g} ± {LOUDNESS_TOLERANCE:g}", lufs, "LUFS", near)
    yield Rule("true_peak", language, HIGHEST_TRUE_PEAK, peak, "dBTP", peak is None or peak <= HIGHEST_TRUE_PEAK)
    length = float(measured["duration"])
    same = abs(length - film) <= DUB_LENGTH_TOLERANCE
    yield Rule("dub_length", language, round(film, 3), length, "s", same)
    fits = [(segment.id, segment.fit) for segment in dub.segments if segment.fit is not None]
    fastest = max((fit.speed for _, fit in fits), default=1.0)
    hurried = tuple(id for id, fit in fits if fit.verdict == "squeezed")
    yield Rule("speed", language, MOST_SPEED, fastest, "×", fastest <= MOST_SPEED + TOLERANCE, hurried)
    over = [(id, fit.overflow) for id, fit in fits if fit.overflow > 0]
    seconds = round(sum(overflow for _, overflow in over), 3)
    yield Rule("overflow", language, 0.0, seconds, "s", not over, tuple(id for id, _ in over))
    overlapping = tuple(
        after_id
        for (_, before), (after_id, after) in pairwise(fits)
        if before.start + before.duration > after.start + 0.001
    )
    yield Rule("overlap", language, 0, float(len(overlapping)), "lines", not overlapping, overlapping)


def _subtitle_rules(ctx: StageContext, film: float) -> Iterable[Rule]:
    for file in ctx.inputs(ArtifactType.SUBTITLES):
        if not file.name.endswith(".vtt"):
            continue
        rules = rules_of(ctx, file.language)
        cues = parse_vtt(file.path.read_text(encoding="utf-8"))
        found = violations(cues, rules)
        limits: dict[str, tuple[float, str]] = {
            "characters_a_line": (rules.characters, "characters"),
            "lines": (rules.lines, "lines"),
            "reading_speed": (rules.reading_speed, "characters/s"),
            "shortest": (rules.shortest, "s"),
            "longest": (rules.longest, "s"),
            "gap": (rules.gap, "s"),
        }
        for name, (limit, unit) in limits.items():
            broken = [v for v in found if v["rule"] == name]
            values = [float(str(v["value"])) for v in broken]
            worst = (min(values) if name in {"shortest", "gap"} else max(values)) if values else limit
            lines = tuple(f"cue {v['cue']}" for v in broken)
            yield Rule(f"subtitles.{name}", file.language, round(limit, 3), round(worst, 3), unit, not broken, lines)
        last = max((cue.end for cue in cues), default=0.0)
        inside = last <= film + STREAM_LENGTH_TOLERANCE
        yield Rule("subtitles.within_film", file.language, round(film, 3), round(last, 3), "s", inside)


def _stream_rules(ctx: StageContext, film: float) -> Iterable[Rule]:
    """Every playlist of HLS is as long as the film, and every file that it names is there."""
    files = ctx.inputs(ArtifactType.HLS)
    names = {file.name for file in files}
    for file in files:
        folder, _, last = file.name.rpartition("/")
        if last != "index.m3u8":
            continue
        playlist = hls.read_playlist(file.path)
        scope = folder.removeprefix("hls/")
        near = abs(playlist.seconds - film) <= STREAM_LENGTH_TOLERANCE
        yield Rule("stream_length", scope, round(film, 3), round(playlist.seconds, 3), "s", near)
        missing = tuple(name for name in playlist.files if f"{folder}/{name}" not in names)
        yield Rule("stream_files", scope, 0, float(len(missing)), "missing", not missing, missing)


def _track_rules(ctx: StageContext, dubbed: Sequence[str]) -> Iterable[Rule]:
    """The master playlist offers each language that there is, as sound and as subtitles."""
    masters = [file for file in ctx.inputs(ArtifactType.HLS) if file.name == "hls/master.m3u8"]
    offered = masters[0].path.read_text(encoding="utf-8").splitlines() if masters else []
    written = sorted({file.language for file in ctx.inputs(ArtifactType.SUBTITLES)})
    for kind, wanted in (("AUDIO", (ctx.source_language, *dubbed)), ("SUBTITLES", written)):
        tracks = [line for line in offered if line.startswith(f"#EXT-X-MEDIA:TYPE={kind},")]
        missing = tuple(code for code in wanted if not any(f'LANGUAGE="{code}"' in line for line in tracks))
        count = float(len(wanted) - len(missing))
        yield Rule(f"tracks.{kind.lower()}", "", len(wanted), count, "languages", not missing, missing)


def _summary(rules: Sequence[Rule], failed: Sequence[Rule]) -> str:
    if not failed:
        return f"All {len(rules)} rules are kept."
    named = ", ".join(f"{rule.rule} ({rule.scope})" if rule.scope else rule.rule for rule in failed)
    return f"{len(rules) - len(failed)} of {len(rules)} rules are kept; not kept: {named}."


def _dubbed_share(ctx: StageContext, dubs: Mapping[str, _Dub]) -> dict[str, float]:
    """What share of the source's speech has a line in the dub, by time; 1 where nobody spoke."""
    source = read_segments(ctx.input(ArtifactType.SEGMENTS_SRC).path)
    whole = sum(segment.duration for segment in source)
    shares = {}
    for language, dub in dubs.items():
        spoken = {segment.source_id for segment in dub.segments if segment.fit}
        done = sum(segment.duration for segment in source if segment.id in spoken)
        shares[language] = round(done / whole, 4) if whole else 1.0
    return shares


def _recognised_again(ctx: StageContext, dubs: Mapping[str, _Dub]) -> dict[str, Any]:
    """How far a second recognition of the dub is from its text (word error rate), where somebody hears its language."""
    hears = ctx.router.languages("asr")
    files = {file.language: file for file in ctx.inputs(ArtifactType.DUB)}
    return {
        language: _word_error(ctx, files[language], dub)
        if language in hears
        else f"not measured: no recogniser for {language}"
        for language, dub in dubs.items()
        if language in files
    }


def _word_error(ctx: StageContext, file: InputFile, dub: _Dub) -> float | str:
    spoken = [(s.text, s.fit) for s in dub.segments if s.fit and s.fit.start + s.fit.duration < AGAIN_SECONDS]
    if not spoken:
        return "not measured: nothing is said"
    end = max(fit.start + fit.duration for _, fit in spoken)
    speech = ctx.work / f"again.{file.language}.wav"
    samples = pcm.read(file.path, rate=SPEECH_RATE, end=end + 0.5, check=ctx.check_cancelled)
    write_wav(speech, np.clip(samples * 32767, -32768, 32767).astype(np.int16), SPEECH_RATE)
    try:
        heard = ctx.router.asr(file.language).transcribe(
            speech, start=0.0, end=end + 0.5, language=file.language, check=ctx.check_cancelled
        )
    except (Cancelled, LeaseLost):
        raise
    except PipelineError as error:
        return f"not measured: {error.detail}"
    return round(word_error_rate(" ".join(text for text, _ in spoken), " ".join(w.text for w in heard.words)), 4)
