"""Lines into slots: the order of measures, and what must hold for any film."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_pipeline.tools.fit import LEAST_GAP, MOST_SPEED, TOLERANCE, Line, Spoken, Wish, place, wish, wishes


def asked(
    natural: float, *, slot: float = 2.0, room: float = 2.5, most: float = 1.4, shorter: float | None = None
) -> Wish:
    return wish(Line("a", 0.0, slot, natural, shorter), slot=slot, room=room, most=most)


def test_a_line_that_fits_is_left_natural() -> None:
    assert asked(2.0) == Wish(1.0)
    assert asked(0.3) == Wish(1.0), "a short line is not stretched"


def test_speed_up_to_a_fifth_comes_before_the_pause() -> None:
    assert asked(2.3) == Wish(pytest.approx(1.15))
    assert asked(2.4) == Wish(pytest.approx(1.2))


def test_the_pause_comes_before_more_speed() -> None:
    assert asked(2.9) == Wish(1.2)


def test_a_shorter_translation_comes_before_more_speed() -> None:
    assert asked(3.4, shorter=2.2) == Wish(pytest.approx(1.1), shorter=True)
    assert asked(3.4) == Wish(pytest.approx(3.4 / 2.5))


def test_what_cannot_fit_gets_the_highest_speed_allowed() -> None:
    assert asked(9.0) == Wish(1.4)
    assert asked(9.0, most=3.0) == Wish(MOST_SPEED)
    assert asked(9.0, most=1.0) == Wish(1.0)


def test_a_line_after_an_overlong_one_makes_up_for_the_delay() -> None:
    lines = [Line("a", 0.0, 1.0, 2.8), Line("b", 1.0, 3.0, 1.9)]
    first, second = wishes(lines, following=3.0, most=1.4)
    assert first.speed == 1.4
    assert second.speed == 1.4, "it starts at 2.0 and has one second left"


def spoken(*rows: tuple[float, float, float, float]) -> list[Spoken]:
    return [Spoken(str(n), *row) for n, row in enumerate(rows)]


def test_verdicts() -> None:
    lines = spoken(
        (0.0, 2.0, 1.5, 1.5),
        (3.0, 5.0, 2.2, 2.0),
        (6.0, 8.0, 2.8, 2.4),
        (9.0, 11.0, 3.6, 2.6),
        (12.0, 13.0, 4.0, 2.9),
        (14.0, 16.0, 1.0, 1.0),
    )
    fits = place(lines, film_end=20.0)
    assert [fit.verdict for fit in fits] == ["natural", "faster", "pause", "squeezed", "overflow", "natural"]
    assert fits[4].overflow == pytest.approx(0.9)
    assert fits[5].start == pytest.approx(14.9), "it waits for the line before, no longer"


def test_the_last_line_starts_earlier_rather_than_run_past_the_film() -> None:
    fits = place(spoken((1.0, 2.0, 1.0, 1.0), (8.0, 9.0, 3.0, 2.5)), film_end=10.0)
    assert fits[1].start == pytest.approx(7.5)
    assert fits[1].overflow == 0.0


def test_lines_that_say_nothing_have_a_verdict_too() -> None:
    (fit,) = place(spoken((1.0, 2.0, 0.0, 0.0)), film_end=10.0)
    assert (fit.verdict, fit.speed, fit.duration) == ("natural", 1.0, 0.0)


@st.composite
def films(draw: st.DrawFn) -> tuple[list[Line], float]:
    at, lines = 0.0, []
    for index in range(draw(st.integers(0, 12))):
        at += draw(st.floats(0, 3))
        length = draw(st.floats(0.05, 6))
        lines.append(Line(str(index), at, at + length, draw(st.floats(0.05, 15))))
        at += length * draw(st.floats(0.5, 1))  # speakers may talk over each other
    return lines, at + draw(st.floats(0, 5))


@given(films(), st.floats(1.0, 2.0))
def test_any_film(film: tuple[list[Line], float], most: float) -> None:
    lines, end = film
    chosen = wishes(lines, following=end, most=most)
    assert all(1.0 <= w.speed <= min(most, MOST_SPEED) for w in chosen)
    said = [
        Spoken(line.id, line.start, line.end, line.natural, line.natural / w.speed)
        for line, w in zip(lines, chosen, strict=True)
    ]
    fits = place(said, film_end=end)
    fits_in_all = sum(fit.duration for fit in fits) <= end
    for index, (line, fit) in enumerate(zip(said, fits, strict=True)):
        assert line.duration - 1e-6 <= fit.duration <= line.duration + 0.0011, "kept whole"
        assert fit.start >= 0
        if index:
            assert fit.start >= fits[index - 1].start + fits[index - 1].duration - 1e-9, "no two at once"
            late = fit.start - line.start
            assert late <= 0.001 or fit.start <= fits[index - 1].start + fits[index - 1].duration + 1e-9
        assert (fit.overflow > 0) == (fit.verdict == "overflow")
        after = lines[index + 1].start if index + 1 < len(lines) else end
        if fit.verdict != "overflow":
            assert fit.start + fit.duration <= max(after, line.start) + TOLERANCE + 0.002
        if fits_in_all:
            assert fit.start + fit.duration <= end + 0.002 + sum(0.001 for _ in fits)


@given(st.floats(0.2, 8), st.floats(0.1, 8), st.floats(0, 4))
def test_one_line_with_a_pause_is_no_faster_than_it_must_be(slot: float, natural: float, pause: float) -> None:
    (chosen,) = wishes([Line("a", 0.0, slot, natural)], following=slot + pause, most=1.4)
    room = max(slot, slot + pause - LEAST_GAP)
    if natural <= slot:
        assert chosen.speed == 1.0
    elif chosen.speed > 1.2 + 1e-9:
        assert natural / 1.2 > room, "the pause was not enough"
