"""Our BS.1770 against ffmpeg's, and mastering against what ffmpeg then measures."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest

from media_pipeline.tools import loudness
from media_pipeline.tools.loudness import RATE, Meter, Programme, Signal, integrated, master, measure


def programme(kind: str, seconds: float = 12.0) -> Signal:
    """Stereo like speech (bursts), music (noise with bass), drums (all peaks), or a film with quiet and loud parts."""
    rng = np.random.default_rng(7)
    count = int(seconds * RATE)
    at = np.arange(count) / RATE
    noise = rng.standard_normal((count, 2)) * 0.1
    bass = np.sin(2 * np.pi * 55 * at)[:, None] * 0.3
    if kind == "speech":
        voice = np.sign(np.sin(2 * np.pi * 130 * at)) ** 3 * (np.sin(2 * np.pi * 3 * at) > 0) * 0.4
        made = voice[:, None] * np.array([1.0, 0.8]) + noise * 0.05
    elif kind == "drums":
        made = noise * (0.05 + 6 * np.exp(-30 * (at * 2 % 1)))[:, None]
    elif kind == "music":
        made = noise + bass
    else:
        made = (noise + bass) * np.where(at < seconds / 2, 0.02, 0.8)[:, None]
    return made.astype(np.float32)


def metered(signal: Signal, block: int = 30_011) -> Programme:
    meter = Meter()
    for at in range(0, len(signal), block):
        meter.add(signal[at : at + block])
    return meter.finish()


def written(path: Path, signal: Signal) -> Path:
    samples = np.clip(np.round(signal * 8388607), -8388608, 8388607).astype("<i4")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(3)
        file.setframerate(RATE)
        file.writeframes(samples.reshape(-1, 1).view(np.uint8).reshape(-1, 4)[:, :3].tobytes())
    return path


@pytest.mark.parametrize("kind", ["speech", "music", "film"])
def test_agrees_with_ffmpeg(tmp_path: Path, kind: str) -> None:
    signal = programme(kind)
    ours, theirs = metered(signal), measure(written(tmp_path / "a.wav", signal))
    assert integrated(ours.energy) == pytest.approx(theirs.integrated, abs=0.11)
    assert 20 * np.log10(ours.peaks.max()) == pytest.approx(theirs.true_peak, abs=0.3)
    assert theirs.seconds == pytest.approx(12.0, abs=0.02)


def test_a_full_scale_tone_is_where_the_standard_puts_it() -> None:
    """BS.1770-4, annex 1: a 0 dBFS 1 kHz sine in one front channel reads -3.01 LKFS."""
    at = np.arange(RATE * 5) / RATE
    left = np.sin(2 * np.pi * 997 * at).astype(np.float32)
    assert integrated(metered(np.stack([left, left * 0], axis=1)).energy) == pytest.approx(-3.01, abs=0.03)


def test_blocks_of_any_length_measure_the_same() -> None:
    signal = programme("speech", 3.3)
    small, whole = metered(signal, 997), metered(signal, len(signal))
    assert np.allclose(small.energy, whole.energy, rtol=1e-3)
    assert np.allclose(small.peaks, whole.peaks, atol=1e-3)
    assert len(whole.peaks) == -(-len(signal) // 64)


def test_silence_and_nothing() -> None:
    assert integrated(metered(np.zeros((RATE, 2), np.float32)).energy) == float("-inf")
    assert metered(np.zeros((0, 2), np.float32)).silent
    quiet = master(metered(np.zeros((RATE, 2), np.float32)), target=-16, ceiling=-2)
    assert np.array_equal(quiet.gains(0, 10), np.ones(10, np.float32))


@pytest.mark.parametrize("kind", ["speech", "music", "film"])
@pytest.mark.parametrize("target", [-14, -16, -23])
def test_mastering_meets_target_and_ceiling(tmp_path: Path, kind: str, target: float) -> None:
    signal = programme(kind)
    mastering = master(metered(signal), target=target, ceiling=-2.0)
    parts = [
        signal[at : at + 48_000] * mastering.gains(at, len(signal[at : at + 48_000]))[:, None]
        for at in range(0, len(signal), 48_000)
    ]
    heard = measure(written(tmp_path / "a.wav", np.concatenate(parts)))
    assert heard.integrated == pytest.approx(target, abs=0.5)
    assert heard.true_peak <= -1.8


def test_a_long_programme_is_mastered_in_pieces_without_seams(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = metered(programme("drums"))
    whole = master(measured, target=-14, ceiling=-2.0)
    monkeypatch.setattr(loudness, "CURVE_STEPS", 7)
    pieces = master(measured, target=-14, ceiling=-2.0)
    assert whole.limiter.min() < 0.9
    assert np.allclose(whole.limiter, pieces.limiter, atol=1e-6)
    assert whole.gain == pytest.approx(pieces.gain)
