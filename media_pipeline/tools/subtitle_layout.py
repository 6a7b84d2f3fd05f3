"""Lays segments out as subtitles: which text stands in which cue, and from when to when.

The numbers are those of the Netflix Timed Text Style Guides (characters a line, reading speed, 5/6 s to 7 s, two
frames between) and of the BBC Subtitle Guidelines. Text is never cut: what a rule cannot hold stays whole, and
``violations`` tells.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from media_pipeline import languages
from media_pipeline.segments import Segment
from media_pipeline.tools import subtitle_lines as lines_

CHARACTERS = {"zh": 16, "yue": 16, "ko": 16, "ja": 23, "th": 35}
DEFAULT_CHARACTERS = {"netflix": 42, "bbc": 37, "shorts": 24}
VERTICAL_CHARACTERS = 24
READING_SPEED = {"en": 20.0, "ar": 20.0, "hi": 22.0, "zh": 9.0, "yue": 9.0, "ko": 12.0, "ja": 4.0}
DEFAULT_READING_SPEED = 17.0
SHORTEST, LONGEST = 5 / 6, 7.0
FRAMES_BETWEEN = 2
DEFAULT_FPS = 25.0
MOST_LINES = 2

MOST_EARLY, MOST_LATE = 0.5, 0.5
"""Seconds that a cue may move from its speech for its neighbour or itself to be read."""
ROUNDING = 0.0015


@dataclass(frozen=True, slots=True)
class Rules:
    """Limits for one language: characters a line, lines, characters a second, seconds of a cue and between two."""

    characters: int
    lines: int
    reading_speed: float
    shortest: float
    longest: float
    gap: float


@dataclass(frozen=True, slots=True)
class Cue:
    """One subtitle. ``segment`` is the id of the first segment that it comes from."""

    start: float
    end: float
    lines: tuple[str, ...]
    segment: str

    @property
    def text(self) -> str:
        """All lines."""
        return "\n".join(self.lines)

    @property
    def characters(self) -> int:
        """As reading speed counts them: with spaces, without the line break."""
        return sum(lines_.width(line) for line in self.lines) + len(self.lines) - 1

    @property
    def speed(self) -> float:
        """Characters a second."""
        return self.characters / max(0.001, self.end - self.start)


def rules_for(language: str, *, profile: str, fps: float, vertical: bool = False) -> Rules:
    """The limits. ``shorts``, like every vertical video, has short lines."""
    code = languages.primary(language)
    characters = CHARACTERS.get(code, DEFAULT_CHARACTERS.get(profile, DEFAULT_CHARACTERS["netflix"]))
    if vertical or profile == "shorts":
        characters = min(characters, VERTICAL_CHARACTERS)
    return Rules(
        characters=characters,
        lines=MOST_LINES,
        reading_speed=READING_SPEED.get(code, DEFAULT_READING_SPEED),
        shortest=SHORTEST,
        longest=LONGEST,
        gap=FRAMES_BETWEEN / (fps if fps > 0 else DEFAULT_FPS),
    )


def lay_out(segments: Sequence[Segment], *, language: str, rules: Rules, film_seconds: float) -> tuple[Cue, ...]:
    """Cues in order that never overlap, within the film."""
    groups = [_cues_of(segment, language, rules) for segment in sorted(segments, key=lambda s: (s.start, s.end))]
    groups = _merged([group for group in groups if group], language, rules)
    return tuple(_timed(groups, rules, film_seconds))


def violations(cues: Sequence[Cue], rules: Rules) -> list[dict[str, object]]:
    """Each rule that a cue does not keep: ``{"rule", "cue" (1 on), "segment", "value", "limit"}``."""
    found: list[dict[str, object]] = []
    before: Cue | None = None
    for number, cue in enumerate(cues, 1):
        seconds = cue.end - cue.start
        longest = max(lines_.width(line) for line in cue.lines)
        gap = cue.start - before.end if before else rules.gap
        measured = (
            ("characters_a_line", longest, rules.characters, longest > rules.characters),
            ("lines", len(cue.lines), rules.lines, len(cue.lines) > rules.lines),
            ("reading_speed", cue.speed, rules.reading_speed, cue.speed > rules.reading_speed * 1.005),
            ("shortest", seconds, rules.shortest, seconds < rules.shortest - ROUNDING),
            ("longest", seconds, rules.longest, seconds > rules.longest + ROUNDING),
            ("gap", gap, rules.gap, gap < rules.gap - ROUNDING),
        )
        for rule, value, limit, broken in measured:
            if broken:
                at = {"cue": number, "segment": cue.segment}
                found.append({"rule": rule, **at, "value": round(float(value), 3), "limit": round(float(limit), 3)})
        before = cue
    return found


def _cues_of(segment: Segment, language: str, rules: Rules) -> list[Cue]:
    """A segment's text in as many cues as it needs, at the times at which it was said."""
    words = lines_.tokens(segment.text, language)
    if not words:
        return []
    least = math.ceil((segment.duration - ROUNDING) / rules.longest) if len(words) > 1 else 1
    blocks = lines_.blocks(words, language, rules.characters, rules.lines, max(1, min(least, len(words))))
    times = _said(segment, blocks)
    return [
        Cue(start, end, lines_.broken(block, language, rules.characters, rules.lines), segment.id)
        for block, (start, end) in zip(blocks, times, strict=True)
    ]


def _said(segment: Segment, blocks: Sequence[Sequence[str]]) -> list[tuple[float, float]]:
    """When each block is said: by the words' own times where there is one for each token, else by its length."""
    times: list[tuple[float, float]] = []
    if len(segment.words) == sum(len(block) for block in blocks):
        at = 0
        for block in blocks:
            times.append((segment.words[at].start, segment.words[at + len(block) - 1].end))
            at += len(block)
        return times
    widths = [max(1, lines_.width(lines_.joined(block))) for block in blocks]
    done = 0
    for width in widths:
        first = segment.start + segment.duration * done / sum(widths)
        done += width
        times.append((first, segment.start + segment.duration * done / sum(widths)))
    return times


def _merged(groups: list[list[Cue]], language: str, rules: Rules) -> list[list[Cue]]:
    """A cue with too little time before the next one is joined with it, where both fit into one."""
    result: list[list[Cue]] = []
    for group in groups:
        first = group[0]
        if result and len(group) == 1:
            last = result[-1][-1]
            words = lines_.tokens(f"{' '.join(last.lines)} {' '.join(first.lines)}", language)
            hurried = first.start - rules.gap - last.start < _needed(last, rules) or _alone(first, rules)
            close = first.start - last.end < rules.shortest
            short = first.end - last.start <= rules.longest
            if hurried and close and short and lines_.fits(words, rules.characters, rules.lines):
                shown = lines_.broken(words, language, rules.characters, rules.lines)
                result[-1][-1] = replace(last, end=max(last.end, first.end), lines=shown)
                continue
        result.append(group)
    return result


def _alone(cue: Cue, rules: Rules) -> bool:
    return cue.end - cue.start < rules.shortest / 2


def _needed(cue: Cue, rules: Rules) -> float:
    """Seconds that it takes to read."""
    return min(rules.longest, max(rules.shortest, cue.characters / rules.reading_speed))


def _timed(groups: Sequence[Sequence[Cue]], rules: Rules, film_seconds: float) -> list[Cue]:
    """Stretch cues into the pauses as far as reading asks; groups share what is left where that is too little."""
    timed: list[Cue] = []
    free_from = 0.0
    for index, group in enumerate(groups):
        following = groups[index + 1] if index + 1 < len(groups) else None
        last_end = max(film_seconds, group[-1].end) if following is None else following[0].start - rules.gap
        after = groups[index + 2][0].start - rules.gap if index + 2 < len(groups) else film_seconds
        wanted = _wanted(group, rules)
        start = max(free_from, group[0].start)
        missing = wanted - (last_end - start)
        if missing > 0:
            earlier = min(missing, MOST_EARLY, max(0.0, start - free_from))
            start -= earlier
            if following is not None:
                slack = after - following[0].start - _wanted(following, rules)
                last_end += min(missing - earlier, MOST_LATE, max(0.0, slack))
        last_end = max(last_end, start + ROUNDING)
        placed = _within(group, start, last_end, rules)
        timed += placed
        free_from = placed[-1].end + rules.gap
    return [replace(cue, start=_up(cue.start), end=max(_up(cue.start) + 0.001, _down(cue.end))) for cue in timed]


def _wanted(group: Sequence[Cue], rules: Rules) -> float:
    return sum(_needed(cue, rules) for cue in group) + rules.gap * (len(group) - 1)


def _within(group: Sequence[Cue], start: float, end: float, rules: Rules) -> list[Cue]:
    """The cues of one group between two times: at their own where they can be read there, else shared by length."""
    needs = [_needed(cue, rules) for cue in group]
    available = end - start - rules.gap * (len(group) - 1)
    if available < sum(needs):
        share = max(0.001, available) / sum(needs)
        needs = [need * share for need in needs]
    latest = [end] * len(group)
    for at in range(len(group) - 2, -1, -1):
        latest[at] = latest[at + 1] - needs[at + 1] - rules.gap
    placed: list[Cue] = []
    at_earliest = start
    for cue, need, limit in zip(group, needs, latest, strict=True):
        begin = min(max(at_earliest, cue.start if placed else start), max(at_earliest, limit - need))
        finish = min(limit, begin + rules.longest, max(cue.end, begin + need))
        placed.append(replace(cue, start=begin, end=finish))
        at_earliest = finish + rules.gap
    return placed


def _up(seconds: float) -> float:
    return math.ceil(seconds * 1000 - 1e-6) / 1000


def _down(seconds: float) -> float:
    return math.floor(seconds * 1000 + 1e-6) / 1000
