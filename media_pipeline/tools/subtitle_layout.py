"""Lays text out as subtitles: lines, cues, times.

The numbers are those of the Netflix Timed Text Style Guide (characters a line, reading speed, 5/6 s to 7 s, two frames
between) and the BBC Subtitle Guidelines.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from media_pipeline import languages
from media_pipeline.segments import Segment

CHARACTERS = {"zh": 16, "ko": 16, "ja": 23, "th": 35}
READING_SPEED = {"en": 20.0, "ar": 20.0, "hi": 22.0, "zh": 9.0, "ko": 12.0, "ja": 4.0}
UNSPACED = frozenset({"zh", "ja", "th", "lo", "km", "my", "bo"})
SHORTEST, LONGEST = 5 / 6, 7.0
FRAMES_BETWEEN = 2
MOST_LINES = 2
STRONG, WEAK = (".", "!", "?", "…", "。", "！", "？"), (",", ";", ":", "—", "，", "、")
BEFORE = {
    "en": "and but or so because that which who when while where if as than to of in on at for with from by about into",
    "es": "y e o u pero porque que cuando donde si como a de en con por para desde hasta sin sobre entre",
    "ca": "i o però perquè que quan on si com a de en amb per des fins sense sobre entre",
    "fr": "et ou mais parce que qui quand où si comme à de en dans avec pour par sur sans chez entre",
    "de": "und oder aber weil dass der wenn wo wie als zu von in an auf für mit aus bei über durch",
    "it": "e o ma perché che quando dove se come a di in con per da su tra fra senza",
    "pt": "e ou mas porque que quando onde se como a de em com por para desde até sem sobre entre",
}


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
        return len(" ".join(self.lines))

    @property
    def speed(self) -> float:
        """Characters a second."""
        return self.characters / max(0.001, self.end - self.start)


def rules_for(language: str, *, profile: str, fps: float, vertical: bool = False) -> Rules:
    """The limits. ``shorts`` is for vertical video: one short line of few words."""
    code = languages.primary(language)
    characters = CHARACTERS.get(code, 37 if profile == "bbc" else 42)
    if vertical or profile == "shorts":
        characters = min(characters, 24)
    return Rules(
        characters=characters,
        lines=MOST_LINES,
        reading_speed=READING_SPEED.get(code, 17.0),
        shortest=SHORTEST,
        longest=LONGEST,
        gap=FRAMES_BETWEEN / (fps or 25.0),
    )


def lay_out(segments: Sequence[Segment], *, language: str, rules: Rules, film_seconds: float) -> tuple[Cue, ...]:
    """Cues in order that never overlap. Text is never cut: what a rule cannot hold stays and is reported."""
    code = languages.primary(language)
    cues: list[Cue] = []
    for segment in segments:
        cues += _cues_of(segment, code, rules)
    return tuple(_timed(_merged(cues, code, rules), rules, film_seconds))


def _cues_of(segment: Segment, code: str, rules: Rules) -> list[Cue]:
    tokens = _tokens(segment.text, code)
    if not tokens:
        return []
    chunks = _chunks(tokens, code, rules)
    times = _chunk_times(segment, chunks, code)
    return [
        Cue(start, end, _lines(chunk, code, rules), segment.id)
        for chunk, (start, end) in zip(chunks, times, strict=True)
    ]


def _tokens(text: str, code: str) -> list[str]:
    words = text.split()
    return [c for c in "".join(words)] if code in UNSPACED and len(words) <= 2 else words


def _join(tokens: Sequence[str], code: str) -> str:
    return ("" if code in UNSPACED and all(len(t) == 1 for t in tokens) else " ").join(tokens)


def _chunks(tokens: list[str], code: str, rules: Rules) -> list[list[str]]:
    """As few chunks as fit into cues, cut where a reader would pause."""
    if _fits(tokens, code, rules) or len(tokens) < 2:
        return [tokens]
    whole = len(_join(tokens, code))
    count = max(2, math.ceil(whole / (rules.characters * rules.lines)))
    aim = whole / count

    def cost(at: int) -> float:
        return abs(len(_join(tokens[:at], code)) - aim) + _joint(tokens, at, code)

    fitting = [at for at in range(1, len(tokens)) if _fits(tokens[:at], code, rules)]
    at = min(fitting or [1], key=cost)
    return [tokens[:at], *_chunks(tokens[at:], code, rules)]


def _fits(tokens: Sequence[str], code: str, rules: Rules) -> bool:
    text = _join(tokens, code)
    if len(text) <= rules.characters:
        return True
    return any(
        len(_join(tokens[:at], code)) <= rules.characters and len(_join(tokens[at:], code)) <= rules.characters
        for at in range(1, len(tokens))
    )


def _joint(tokens: Sequence[str], at: int, code: str) -> float:
    """How bad it is to break before ``tokens[at]``; less than nothing where it is good."""
    before, after = tokens[at - 1], tokens[at].lower().strip("¿¡\"'(")
    small = BEFORE.get(code, "").split()
    value = 0.0
    if before.endswith(STRONG):
        value -= 20
    elif before.endswith(WEAK):
        value -= 12
    elif after in small:
        value -= 6
    if before.lower() in small or (len(before) <= 3 and not before.endswith((*STRONG, *WEAK))):
        value += 8
    return value


def _lines(tokens: list[str], code: str, rules: Rules) -> tuple[str, ...]:
    """One line, or two of about the same length."""
    text = _join(tokens, code)
    if len(text) <= rules.characters or len(tokens) < 2:
        return (text,)

    def cost(at: int) -> float:
        first, second = len(_join(tokens[:at], code)), len(_join(tokens[at:], code))
        over = max(0, first - rules.characters) + max(0, second - rules.characters)
        return abs(first - second) / 2 + 1000 * over + _joint(tokens, at, code)

    at = min(range(1, len(tokens)), key=cost)
    return (_join(tokens[:at], code), _join(tokens[at:], code))


def _chunk_times(segment: Segment, chunks: Sequence[Sequence[str]], code: str) -> list[tuple[float, float]]:
    """By the words' own times where there is one for each token, else by the share of characters."""
    if len(segment.words) == sum(len(chunk) for chunk in chunks):
        times, at = [], 0
        for chunk in chunks:
            times.append((segment.words[at].start, segment.words[at + len(chunk) - 1].end))
            at += len(chunk)
        return times
    whole = sum(len(_join(chunk, code)) for chunk in chunks)
    times, done = [], 0
    for chunk in chunks:
        start = segment.start + segment.duration * done / whole
        done += len(_join(chunk, code))
        times.append((start, segment.start + segment.duration * done / whole))
    return times


def _merged(cues: list[Cue], code: str, rules: Rules) -> list[Cue]:
    """A cue that is too short and has no pause after it is joined with the next, where both fit."""
    result: list[Cue] = []
    for cue in cues:
        if result:
            last = result[-1]
            room = cue.start - rules.gap - last.start
            tokens = _tokens(f"{' '.join(last.lines)} {' '.join(cue.lines)}", code)
            if room < rules.shortest and cue.end - last.start <= rules.longest and _fits(tokens, code, rules):
                result[-1] = replace(last, end=cue.end, lines=_lines(tokens, code, rules))
                continue
        result.append(cue)
    return result


def _timed(cues: Sequence[Cue], rules: Rules, film_seconds: float) -> list[Cue]:
    """Extend into the pause as far as reading asks, keep the gap, round to milliseconds."""
    timed: list[Cue] = []
    free = 0.0
    for index, cue in enumerate(cues):
        start = max(cue.start, free)
        limit = cues[index + 1].start - rules.gap if index + 1 < len(cues) else max(film_seconds, cue.end)
        wanted = min(rules.longest, max(rules.shortest, cue.characters / rules.reading_speed))
        end = min(max(cue.end, start + wanted), start + rules.longest)
        end = min(end, limit) if limit - start > rules.gap else min(cue.end, max(limit, start + rules.gap))
        early = start - max(0.0, start + wanted - end, 0.0)
        start = max(free, early, start - 0.5)
        timed.append(replace(cue, start=math.ceil(start * 1000) / 1000, end=math.floor(end * 1000) / 1000))
        free = end + rules.gap
    return timed


def violations(cues: Sequence[Cue], rules: Rules) -> list[dict[str, object]]:
    """Each rule that a cue does not keep: ``{"rule", "cue" (1 on), "segment", "value", "limit"}``."""
    found: list[dict[str, object]] = []

    def note(rule: str, number: int, cue: Cue, value: float, limit: float) -> None:
        found.append(
            {"rule": rule, "cue": number, "segment": cue.segment, "value": round(value, 3), "limit": round(limit, 3)}
        )

    for number, cue in enumerate(cues, 1):
        longest, seconds = max(len(line) for line in cue.lines), cue.end - cue.start
        if longest > rules.characters:
            note("characters_a_line", number, cue, longest, rules.characters)
        if len(cue.lines) > rules.lines:
            note("lines", number, cue, len(cue.lines), rules.lines)
        if cue.speed > rules.reading_speed + 0.05:
            note("reading_speed", number, cue, cue.speed, rules.reading_speed)
        if seconds < rules.shortest - 0.002:
            note("shortest", number, cue, seconds, rules.shortest)
        if seconds > rules.longest + 0.002:
            note("longest", number, cue, seconds, rules.longest)
        if number > 1 and cue.start - cues[number - 2].end < rules.gap - 0.002:
            note("gap", number, cue, cue.start - cues[number - 2].end, rules.gap)
    return found
