"""Ducking, placing and rendering, in blocks."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from media_pipeline.tools.audio import write_flac, write_wav
from media_pipeline.tools.dubmix import Ducking, PlacedLine, level_within, merged, render
from media_pipeline.tools.loudness import RATE

VOICE_RATE = 22_050


def sine(seconds: float, frequency: float, rate: int, level: float = 0.25) -> np.ndarray:
    at = np.arange(round(seconds * rate)) / rate
    return (np.sin(2 * np.pi * frequency * at) * level * 32767).astype(np.int16)


def level_db(samples: np.ndarray) -> float:
    return 10 * float(np.log10(np.mean(np.square(samples)) + 1e-12))


def rendered(
    tmp_path: Path, bed: np.ndarray, lines: list[PlacedLine], spans: list[tuple[float, float]], seconds: float
) -> np.ndarray:
    write_wav(tmp_path / "bed.wav", bed, RATE)
    out = tmp_path / "mix.f32"
    ducking = Ducking(spans, -18.0)
    render(tmp_path / "bed.wav", lines, voice_gain=1.0, ducking=ducking, samples=round(seconds * RATE), out=out)
    return np.fromfile(out, np.float32).reshape(-1, 2)


def test_the_original_goes_down_under_speech_and_comes_back() -> None:
    gains = Ducking([(2.0, 3.0), (3.5, 4.0), (8.0, 9.0)], -18.0).gains(0, 10 * RATE)
    low = 10 ** (-18 / 20)

    def at(seconds: float) -> float:
        return float(gains[round(seconds * RATE)])

    assert at(1.8) == pytest.approx(1.0)
    assert [at(s) for s in (2.0, 2.5, 3.2, 3.9, 8.5)] == pytest.approx([low] * 5), "a short pause does not pump"
    assert [at(s) for s in (4.6, 6.0, 9.6)] == pytest.approx([1.0] * 3)
    assert np.abs(np.diff(gains)).max() < 0.0005, "no step that could be heard"


def test_speech_at_the_very_start() -> None:
    gains = Ducking([(0.0, 1.0)], -18.0).gains(0, RATE)
    assert gains[0] == pytest.approx(10 ** (-18 / 20))


def test_no_speech_leaves_the_original_alone() -> None:
    assert np.array_equal(Ducking([], -18.0).gains(0, 100), np.ones(100, np.float32))


def test_merged_spans() -> None:
    assert merged([(5, 6), (0, 1), (1.5, 2), (0.2, 0.5)], 0.9) == [(0, 2), (5, 6)]


def test_lines_stand_where_they_were_put(tmp_path: Path) -> None:
    """Two files, a line across a block's edge, and offsets inside a file."""
    first, second, third = sine(0.5, 600, VOICE_RATE), sine(1.5, 900, VOICE_RATE), sine(0.25, 1200, VOICE_RATE)
    write_flac(tmp_path / "a.flac", [first, np.zeros(441, np.int16), second], VOICE_RATE)
    write_flac(tmp_path / "b.flac", [third], VOICE_RATE)
    lines = [
        PlacedLine(0.5, tmp_path / "a.flac", 0, len(first), VOICE_RATE),
        PlacedLine(1.75, tmp_path / "a.flac", len(first) + 441, len(second), VOICE_RATE),
        PlacedLine(4.0, tmp_path / "b.flac", 0, len(third), VOICE_RATE),
    ]
    mixed = rendered(tmp_path, np.zeros(RATE * 2, np.int16), lines, [], 6.0)
    assert len(mixed) == 6 * RATE
    assert np.array_equal(mixed[:, 0], mixed[:, 1])
    sounding = np.abs(mixed[:, 0]) > 0.01
    edges = np.flatnonzero(np.diff(sounding.reshape(-1, 480).any(axis=1).astype(int))) * 0.01
    assert edges == pytest.approx([0.49, 0.99, 1.74, 3.24, 3.99, 4.24], abs=0.021)
    for start, length, frequency in ((0.5, 0.5, 600), (1.75, 1.5, 900), (4.0, 0.25, 1200)):
        part = mixed[round((start + 0.02) * RATE) : round((start + length - 0.02) * RATE), 0]
        spectrum = np.abs(np.fft.rfft(part * np.hanning(len(part))))
        assert spectrum.argmax() * RATE / len(part) == pytest.approx(frequency, abs=6)


def test_the_bed_is_ducked_and_as_long_as_the_film(tmp_path: Path) -> None:
    mixed = rendered(tmp_path, sine(4.0, 200, RATE), [], [(1.0, 2.0)], 3.0)
    assert len(mixed) == 3 * RATE
    before, under = level_db(mixed[: RATE // 2]), level_db(mixed[round(1.2 * RATE) : round(1.8 * RATE)])
    assert before - under == pytest.approx(18.0, abs=0.2)


def test_level_within_spans(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", np.concatenate([sine(1.0, 300, RATE, 0.5), sine(1.0, 300, RATE, 0.05)]), RATE)
    assert level_within(tmp_path / "a.wav", [(0.1, 0.9)]) == pytest.approx(-9.03, abs=0.1)
    assert level_within(tmp_path / "a.wav", [(1.1, 1.9)]) == pytest.approx(-29.03, abs=0.2)
    assert level_within(tmp_path / "a.wav", []) == -100


def test_memory_does_not_grow_with_the_film(tmp_path: Path) -> None:
    """Five minutes are 115 MB as samples."""
    write_wav(tmp_path / "bed.wav", np.zeros(RATE, np.int16), RATE)
    write_flac(tmp_path / "v.flac", [sine(100.0, 400, VOICE_RATE)], VOICE_RATE)
    lines = [PlacedLine(3.0 * n, tmp_path / "v.flac", n * VOICE_RATE, VOICE_RATE, VOICE_RATE) for n in range(100)]
    tracemalloc.start()
    try:
        render(
            tmp_path / "bed.wav",
            lines,
            voice_gain=1.0,
            ducking=Ducking([], -18.0),
            samples=300 * RATE,
            out=tmp_path / "mix.f32",
        )
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 30_000_000
