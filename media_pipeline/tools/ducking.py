"""How loud the original stays under the dub."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

ATTACK = 0.2
RELEASE = 0.5
BRIDGE = 0.9
"""Seconds; between lines closer than this the original stays down: pumping disturbs more than quiet does."""


class Envelope:
    """Gain of the original over time: 0 dB between lines, ``depth`` dB under them, straight in dB on the way."""

    def __init__(self, spans: Sequence[tuple[float, float]], depth: float) -> None:
        times, gains = [0.0], [0.0]
        for start, end in _bridged(spans):
            times += [max(times[-1], start - ATTACK), max(times[-1], start), end, end + RELEASE]
            gains += [0.0, depth, depth, 0.0]
        self._times = np.maximum.accumulate(np.array(times))
        self._gains = np.array(gains)

    def gains(self, start: float, count: int, rate: int) -> NDArray[np.float32]:
        """Linear factors for ``count`` samples from ``start`` seconds on."""
        at = start + np.arange(0, count + 64, 64) / rate
        coarse = 10 ** (np.interp(at, self._times, self._gains) / 20)
        fine = np.interp(np.arange(count), np.arange(0, count + 64, 64), coarse)
        samples: NDArray[np.float32] = fine.astype(np.float32)
        return samples


def _bridged(spans: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    merged: list[tuple[float, float]] = []
    for start, end in spans:
        if merged and start - merged[-1][1] < BRIDGE:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged
