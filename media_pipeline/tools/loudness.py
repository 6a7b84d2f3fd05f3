"""Loudness by ITU-R BS.1770-4: K-weighting, gating, true peak; and the gain that brings a programme to a target.

A programme is measured once, while it is rendered: its K-weighted energy in steps of 100 ms and its true peaks in
steps of 64 samples are kept, a few kilobytes a minute. From these two alone the gain and the limiter that meet a
target are computed, so that nothing has to be rendered again to be made louder.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from media_pipeline.errors import ToolFailed
from media_pipeline.providers.base import Check, no_check
from media_pipeline.tools.process import Limits, run

Signal = NDArray[np.float32]
Curve = NDArray[np.float64]
Peaks = NDArray[np.float32]

RATE = 48_000
STEP = 4_800
"""100 ms: the hop of BS.1770's 400 ms gating blocks, which overlap by 75 %."""
PEAK_STEP = 64
"""1.3 ms: how finely the limiter follows peaks. Divides STEP."""
STEPS_AT_ONCE = 4
TAPS = 4_096
"""Length after which the answer of the K-weighting filter to an impulse has died away (below 1e-5)."""
FFT_SIZE = 24_000

SHELF = ((1.53512485958697, -2.69169618940638, 1.19839281085285), (-1.69065929318241, 0.73248077421585))
HIGH_PASS = ((1.0, -2.0, 1.0), (-1.99004745483398, 0.99007225036621))
"""BS.1770-4, annex 1, tables 1 and 2, for 48 kHz."""

OVERSAMPLING = 4
PHASE_TAPS = 12
BETWEEN_SAMPLES = 1.41
"""By how much a true peak is taken to pass the sample peak where it is too low to be worth measuring."""
WORTH_MEASURING = 0.2

LOOKAHEAD_STEPS = 12
"""16 ms to both sides: the limiter closes before a peak and opens after it without being heard."""
CURVE_STEPS = 3_000
"""How many steps of 100 ms the limiter is computed for at once."""
MOST_GAIN_DB = 40.0
SILENCE_LUFS = -70.0


@dataclass(frozen=True, slots=True)
class Loudness:
    """``integrated`` in LUFS (-inf for silence), ``true_peak`` in dBTP (-inf for silence), ``seconds`` of sound."""

    integrated: float
    true_peak: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Programme:
    """What is kept of a rendered programme: mean squares a 100 ms step, summed over channels; peaks a 64 samples."""

    energy: Curve
    peaks: Peaks

    @property
    def silent(self) -> bool:
        """Whether there is nothing that BS.1770 would count."""
        return integrated(self.energy) == float("-inf")


@dataclass(frozen=True, slots=True)
class Mastering:
    """A gain for all, and for each 64 samples a factor of at most 1 that keeps peaks below the ceiling."""

    gain: float
    limiter: Peaks
    expected_lufs: float

    def gains(self, start: int, count: int) -> Signal:
        """Factors for the samples from ``start`` on."""
        at = (np.arange(start, start + count) + 0.5) / PEAK_STEP - 0.5
        first = max(0, start // PEAK_STEP - 1)
        part = self.limiter[first : (start + count) // PEAK_STEP + 2]
        if not part.size:
            return np.full(count, self.gain, np.float32)
        curve = np.interp(at, np.arange(first, first + part.size), part)
        return (curve * self.gain).astype(np.float32)


class Meter:
    """Takes stereo blocks at 48 kHz, of any length, in order."""

    def __init__(self) -> None:
        self._energy: list[Curve] = []
        self._peaks: list[Peaks] = []
        self._pending = np.zeros((0, 2), np.float32)
        self._before = np.zeros((TAPS, 2), np.float32)
        self._loudest = 0.0

    def add(self, block: Signal) -> None:
        """Measure a block of shape (n, 2)."""
        self._pending = np.concatenate([self._pending, block]) if self._pending.size else block
        size = STEPS_AT_ONCE * STEP
        while len(self._pending) >= size:
            self._measure(self._pending[:size])
            self._pending = self._pending[size:]

    def finish(self) -> Programme:
        """All that was measured. What is left over counts as if silence followed."""
        count = len(self._pending)
        if count:
            rest = np.zeros((STEPS_AT_ONCE * STEP, 2), np.float32)
            rest[:count] = self._pending
            self._measure(rest)
            # A last step that is not full would be measured too quiet: BS.1770 leaves it out.
            self._energy[-1] = self._energy[-1][: count // STEP]
            self._peaks[-1] = self._peaks[-1][: -(-count // PEAK_STEP)]
        energy = np.concatenate(self._energy) if self._energy else np.zeros(0)
        peaks = np.concatenate(self._peaks) if self._peaks else np.zeros(0, np.float32)
        return Programme(energy, peaks)

    def _measure(self, block: Signal) -> None:
        whole = np.concatenate([self._before, block])
        self._before = whole[-TAPS:]
        spectrum = np.fft.rfft(whole.T, FFT_SIZE) * _k_weighting()
        weighted = np.fft.irfft(spectrum, FFT_SIZE)[:, TAPS : TAPS + len(block)]
        squares = np.square(weighted, dtype=np.float32).reshape(2, -1, STEP)
        self._energy.append(squares.mean(axis=2, dtype=np.float64).sum(axis=0))
        self._peaks.append(self._true_peaks(whole[TAPS - PEAK_STEP :]))

    def _true_peaks(self, block: Signal) -> Peaks:
        """Of all but the first PEAK_STEP samples, which are there for the filter to start from."""
        found = _step_peaks(block[PEAK_STEP:])
        self._loudest = max(self._loudest, float(found.max(initial=0.0)))
        measured = found >= self._loudest * WORTH_MEASURING
        peaks = np.where(measured, found, found * BETWEEN_SAMPLES)
        steps = np.flatnonzero(measured)
        if steps.size and self._loudest > 0:
            taken = (steps[:, None] + 1) * PEAK_STEP + np.arange(1 - PHASE_TAPS, PEAK_STEP)
            windows = np.lib.stride_tricks.sliding_window_view(block[taken], PHASE_TAPS, axis=1)
            between = np.abs(windows @ _interpolator()).max(axis=(1, 2, 3))
            # The filter looks six samples back: a peak may count for the next step, within the limiter's lookahead.
            peaks[steps] = np.maximum(found[steps], between)
        return peaks


def integrated(energy: Curve) -> float:
    """Gated loudness in LUFS of mean squares in steps of 100 ms (BS.1770-4, annex 1): -inf when all is silent.

    What is shorter than 400 ms is measured as a whole.
    """
    if not energy.size:
        return float("-inf")
    blocks = np.convolve(energy, np.full(4, 0.25), "valid") if energy.size >= 4 else np.array([energy.mean()])
    kept = blocks[_lufs(blocks) > SILENCE_LUFS]
    if not kept.size:
        return float("-inf")
    relative = _lufs(kept.mean()) - 10
    kept = kept[_lufs(kept) > relative]
    return float(_lufs(kept.mean()))


def master(programme: Programme, *, target: float, ceiling: float) -> Mastering:
    """Gain and limiter that bring a programme to ``target`` LUFS with true peaks of at most ``ceiling`` dBTP."""
    quiet = integrated(programme.energy)
    limit = 10 ** (ceiling / 20)
    if quiet == float("-inf"):
        return Mastering(1.0, _limiter(programme.peaks, limit), quiet)
    gain_db = min(MOST_GAIN_DB, target - quiet)
    for _ in range(8):
        gain = 10 ** (gain_db / 20)
        curve = _limiter(programme.peaks, limit / gain)
        reached = integrated(_limited(programme, curve) * gain**2)
        missing = target - reached
        if abs(missing) < 0.02 or gain_db + missing > MOST_GAIN_DB:
            break
        gain_db += missing
    return Mastering(gain, curve, reached)


def measure(path: Path, *, check: Check = no_check) -> Loudness:
    """Integrated loudness and true peak of a file's first audio track, by ffmpeg. Raises ToolFailed."""
    argv = [
        *("ffmpeg", "-nostdin", "-hide_banner", "-nostats", "-protocol_whitelist", "file", "-i", str(path)),
        *("-map", "0:a:0", "-af", "ebur128=peak=true:framelog=verbose", "-f", "null", "-"),
    ]
    text = run(argv, limits=Limits(seconds=3600), check=check).stderr
    summary = text[text.rfind("Summary:") :]
    lufs, peak = (re.search(pattern, summary) for pattern in (r"I:\s+(\S+) LUFS", r"Peak:\s+(\S+) dBFS"))
    ended = re.findall(r"time=(\d+):(\d+):([\d.]+)", text)
    if lufs is None or peak is None or not ended:
        raise ToolFailed("ffmpeg reported no loudness.")
    level = float(lufs.group(1))
    hours, minutes, seconds = ended[-1]
    return Loudness(
        integrated=level if level > SILENCE_LUFS else float("-inf"),
        true_peak=float(peak.group(1)),
        seconds=int(hours) * 3600 + int(minutes) * 60 + float(seconds),
    )


def _lufs(energy: Curve | float) -> Curve:
    return np.asarray(-0.691 + 10 * np.log10(np.maximum(energy, 1e-12)))


def _limited(programme: Programme, curve: Peaks) -> Curve:
    """Energy behind the limiter. Within 100 ms it lies where the peaks are, which is where the limiter is at work."""
    kept, per_step = programme.energy.copy(), STEP // PEAK_STEP
    for at in range(0, min(len(kept), len(curve) // per_step), CURVE_STEPS):
        count = min(CURVE_STEPS, len(kept) - at, len(curve) // per_step - at)
        part = slice(at * per_step, (at + count) * per_step)
        weights = np.square(programme.peaks[part]).reshape(-1, per_step) + np.float32(1e-12)
        kept[at : at + count] *= np.average(np.square(curve[part]).reshape(-1, per_step), axis=1, weights=weights)
    return kept


def _limiter(peaks: Peaks, limit: float) -> Peaks:
    """Piece by piece, each with the neighbours that it depends on: a long film's curve is kept once, not five times."""
    reach, size = 2 * LOOKAHEAD_STEPS, CURVE_STEPS * (STEP // PEAK_STEP)
    curve = np.ones(len(peaks), np.float32)
    for at in range(0, len(peaks), size):
        first = max(0, at - reach)
        part = _limiter_of(peaks[first : at + size + reach], limit)
        curve[at : at + size] = part[at - first :][:size]
    return curve


def _limiter_of(peaks: Peaks, limit: float) -> Peaks:
    needed = np.minimum(np.float32(1.0), np.float32(limit) / np.maximum(peaks, np.float32(1e-9)))
    if needed.min() >= 1.0:
        return needed
    padded = np.pad(needed, LOOKAHEAD_STEPS, mode="edge")
    lowest = np.lib.stride_tricks.sliding_window_view(padded, 2 * LOOKAHEAD_STEPS + 1).min(axis=1)
    # One step narrower than what was looked at, as samples are interpolated between steps: never above what is needed.
    window = np.hanning(2 * LOOKAHEAD_STEPS + 1)[1:-1].astype(np.float32)
    padded = np.pad(lowest, LOOKAHEAD_STEPS - 1, mode="edge")
    return np.convolve(padded, window / window.sum(), "valid")


def _step_peaks(block: Signal) -> Peaks:
    found: Peaks = np.abs(block).reshape(-1, PEAK_STEP * 2).max(axis=1)
    return found


@cache
def _k_weighting() -> NDArray[np.complex64]:
    answer = np.zeros(TAPS)
    answer[0] = 1.0
    for (b0, b1, b2), (a1, a2) in (SHELF, HIGH_PASS):
        answer = _filtered(answer, (b0, b1, b2), (a1, a2))
    return np.fft.rfft(answer, FFT_SIZE).astype(np.complex64)


def _filtered(signal: Curve, b: tuple[float, float, float], a: tuple[float, float]) -> Curve:
    out = np.zeros(len(signal))
    x1 = x2 = y1 = y2 = 0.0
    for index, x in enumerate(signal):
        y = b[0] * x + b[1] * x1 + b[2] * x2 - a[0] * y1 - a[1] * y2
        out[index] = y
        x1, x2, y1, y2 = float(x), x1, float(y), y1
    return out


@cache
def _interpolator() -> Signal:
    """Windowed sinc for the three places between two samples: (PHASE_TAPS, 3)."""
    places = np.arange(1, OVERSAMPLING) / OVERSAMPLING
    distance = np.arange(PHASE_TAPS)[:, None] - (PHASE_TAPS // 2 - 1) - places
    window = np.kaiser(2 * 512 + 1, 5.0)
    shape = np.interp(distance / (PHASE_TAPS / 2), np.linspace(-1, 1, window.size), window)
    taps = np.sinc(distance) * shape
    normed: Signal = (taps / taps.sum(axis=0)).astype(np.float32)
    return normed
