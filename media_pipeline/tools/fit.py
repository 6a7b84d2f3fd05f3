"""Fitting dubbed lines into the time that the original speaker took. Pure arithmetic; all times in seconds.

The order in which a line that is too long is made to fit (design, section 6):

1. the voice's own speed, up to 1.2, without a word;
2. the pause after the line;
3. a shorter translation, where there is one;
4. speed up to 1.4 (or what the job allows, never above 1.5), with a flag;
5. what still does not fit is kept whole and flagged with the seconds by which it is too long.

A short line is left as it is: nothing is stretched.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor
from typing import Literal

from media_pipeline.segments import Fit

Verdict = Literal["natural", "faster", "pause", "squeezed", "overflow"]

FREE_SPEED = 1.2
MOST_SPEED = 1.5
LEAST_GAP = 0.06
"""Kept free between one line and the next, where there is a pause to take it from."""
TOLERANCE = 0.02
"""Seconds, and share of speed, below which nobody hears a difference."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line to be fitted.

    ``start``/``end``: when the original was said; ``natural``: seconds that it takes unhurried; ``shorter``: seconds
    that a shorter translation takes unhurried, where there is one.
    """

    id: str
    start: float
    end: float
    natural: float
    shorter: float | None = None


@dataclass(frozen=True, slots=True)
class Wish:
    """How a line is to be spoken: its speed, and whether the shorter translation is needed."""

    speed: float
    shorter: bool = False


@dataclass(frozen=True, slots=True)
class Spoken:
    """A line as it was spoken: ``natural`` seconds unhurried, ``duration`` seconds in fact."""

    id: str
    start: float
    end: float
    natural: float
    duration: float


def wish(line: Line, *, slot: float, room: float, most: float) -> Wish:
    """The speed for one line that has ``slot`` seconds of its own and ``room`` with the pause behind it.

    ``most`` is the fastest allowed; it is held to 1.5.
    """
    most = min(most, MOST_SPEED)
    free = min(FREE_SPEED, most)
    for natural, shorter in ((line.natural, False), (line.shorter, True)):
        if natural is None:
            continue
        if natural <= slot + TOLERANCE:
            return Wish(1.0, shorter)
        if natural <= slot * free:
            return Wish(natural / slot, shorter)
        if natural <= room * free:
            return Wish(free, shorter)
    natural = line.natural if line.shorter is None else min(line.natural, line.shorter)
    shorter = natural < line.natural
    return Wish(min(most, natural / room) if room > 0 else most, shorter)


def wishes(lines: Sequence[Line], *, following: float, most: float) -> tuple[Wish, ...]:
    """The speeds for lines in order of time, which may begin late when the one before is too long.

    ``following`` is where the line after the last one starts, or the film ends.
    """
    made = []
    free_from = 0.0
    for index, line in enumerate(lines):
        start = max(line.start, free_from)
        after = lines[index + 1].start if index + 1 < len(lines) else following
        slot, room = _slot(line.end, start, after), _room(line.end, start, after)
        chosen = wish(line, slot=slot, room=room, most=most)
        natural = line.shorter if chosen.shorter and line.shorter is not None else line.natural
        free_from = start + natural / chosen.speed
        made.append(chosen)
    return tuple(made)


def place(lines: Sequence[Spoken], *, film_end: float) -> tuple[Fit, ...]:
    """Where each line goes, and its verdict. Lines come and go in order of time and never overlap.

    Each starts with its original, or as soon as an overlong one before it is over. Lines that would run past the end
    of the film start earlier instead, as far as there is silence before them.
    """
    starts = _starts([line.start for line in lines], [line.duration for line in lines], film_end)
    fits = []
    for index, (line, start) in enumerate(zip(lines, starts, strict=True)):
        after = lines[index + 1].start if index + 1 < len(lines) else film_end
        fits.append(_judged(line, start, max(after, line.start)))
    return tuple(fits)


def verdict(*, speed: float, duration: float, slot: float, overflow: float) -> Verdict:
    """What was done to a line."""
    if overflow > 0:
        return "overflow"
    if speed > FREE_SPEED + TOLERANCE:
        return "squeezed"
    if duration > slot + TOLERANCE:
        return "pause"
    if speed > 1 + TOLERANCE:
        return "faster"
    return "natural"


def _starts(wanted: Sequence[float], durations: Sequence[float], film_end: float) -> list[float]:
    """In whole milliseconds, as they are written, so that rounding makes no overlap."""
    lengths = [ceil(duration * 1000 - 1e-6) for duration in durations]
    starts = []
    free_from = 0
    for start, length in zip(wanted, lengths, strict=True):
        starts.append(max(round(start * 1000), free_from))
        free_from = starts[-1] + length
    latest = floor(film_end * 1000)
    for index in range(len(starts) - 1, -1, -1):
        if starts[index] + lengths[index] <= latest:
            break
        starts[index] = max(0, latest - lengths[index])
        latest = starts[index]
    free_from = 0
    for index, length in enumerate(lengths):
        # Only where there is more speech than film do these still collide: then the last ones run over.
        starts[index] = max(starts[index], free_from)
        free_from = starts[index] + length
    return [start / 1000 for start in starts]


def _judged(line: Spoken, start: float, after: float) -> Fit:
    slot = _slot(line.end, line.start, after)
    beyond = start + line.duration - after
    overflow = beyond if beyond > TOLERANCE and line.duration > 0 else 0.0
    speed = line.natural / line.duration if line.duration > 0 else 1.0
    return Fit(
        slot=round(slot, 3),
        natural=round(line.natural, 3),
        speed=round(speed, 3),
        start=start,
        duration=ceil(line.duration * 1000 - 1e-6) / 1000,
        verdict=verdict(speed=speed, duration=line.duration, slot=slot, overflow=overflow),
        overflow=round(overflow, 3),
    )


def _slot(end: float, start: float, after: float) -> float:
    """The line's own time, which ends at the latest where the next one starts."""
    return max(0.0, min(end, after) - start)


def _room(end: float, start: float, after: float) -> float:
    """The line's own time and the pause behind it."""
    return max(_slot(end, start, after), after - LEAST_GAP - start)
