"""Speech as 16-bit mono samples: WAV in and out, silence trimmed, lines end to end in one FLAC.

Streams of other formats come from ``tools.pcm``.
"""

from __future__ import annotations

import io
import wave
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from media_pipeline.errors import ProviderFailed
from media_pipeline.providers.base import Check, no_check
from media_pipeline.tools.ffmpeg import command
from media_pipeline.tools.process import Limits, spawn

Speech = NDArray[np.int16]
EMPTY: Speech = np.zeros(0, np.int16)

SILENCE_BELOW_PEAK_DB = 48.0
SILENCE_BELOW_FULL_SCALE_DB = 60.0
MARGIN_SECONDS = 0.008
"""Kept before the first and after the last sound, so that soft consonants are not clipped."""


def read_wav(source: Path | bytes) -> tuple[Speech, int]:
    """Samples of a mono 16-bit WAV, and its rate. Raises ProviderFailed on anything else."""
    try:
        with wave.open(io.BytesIO(source) if isinstance(source, bytes) else str(source), "rb") as file:
            if (file.getnchannels(), file.getsampwidth()) != (1, 2):
                raise ProviderFailed("The speech engine wrote a WAV that is not mono 16-bit.")
            data = file.readframes(file.getnframes())
            return np.frombuffer(data[: len(data) // 2 * 2], "<i2"), file.getframerate()
    except (wave.Error, EOFError, OSError) as error:
        raise ProviderFailed("The speech engine wrote no usable WAV.") from error


def wav_bytes(samples: Speech, rate: int) -> bytes:
    """A mono 16-bit WAV."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.astype("<i2", copy=False).tobytes())
    return out.getvalue()


def write_wav(path: Path, samples: Speech, rate: int) -> None:
    """Write a mono 16-bit WAV."""
    path.write_bytes(wav_bytes(samples, rate))


def trimmed(samples: Speech, rate: int) -> Speech:
    """Without the silence at both ends: what stays 48 dB below the line's own peak, or 60 dB below full scale."""
    loud = np.abs(samples.astype(np.int32))
    peak = int(loud.max()) if loud.size else 0
    quiet = max(32768 * 10 ** (-SILENCE_BELOW_FULL_SCALE_DB / 20), peak * 10 ** (-SILENCE_BELOW_PEAK_DB / 20))
    sounding = np.flatnonzero(loud > quiet)
    if not sounding.size:
        return samples[:0]
    margin = int(MARGIN_SECONDS * rate)
    return samples[max(0, int(sounding[0]) - margin) : int(sounding[-1]) + 1 + margin]


def level_dbfs(samples: Speech) -> float:
    """Root mean square in dB below full scale; -100 for silence."""
    if not samples.size:
        return -100.0
    power = float(np.mean(np.square(samples.astype(np.float32) / 32768)))
    return max(-100.0, 10 * float(np.log10(max(power, 1e-10))))


def write_flac(path: Path, pieces: Iterable[Speech], rate: int, *, check: Check = no_check) -> None:
    """Write mono pieces end to end as one 16-bit FLAC. Raises ToolFailed."""
    argv = command(
        *("-f", "s16le", "-ar", str(rate), "-ac", "1"),
        *("-i", "pipe:0", "-c:a", "flac", "-compression_level", "5", "-f", "flac", str(path)),
    )
    with spawn(argv, limits=Limits(seconds=900), check=check, feed=True) as child:
        for piece in pieces:
            child.write(piece.astype("<i2", copy=False).tobytes())
