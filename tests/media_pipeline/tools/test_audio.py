"""Speech samples in and out."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest

from media_pipeline.errors import ProviderFailed
from media_pipeline.tools import pcm
from media_pipeline.tools.audio import EMPTY, level_dbfs, read_wav, trimmed, wav_bytes, write_flac, write_wav


def tone(seconds: float, rate: int = 22050, level: float = 0.5) -> np.ndarray:
    at = np.arange(int(seconds * rate)) / rate
    return (np.sin(2 * np.pi * 440 * at) * level * 32767).astype(np.int16)


def test_wav_round_trip(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", tone(0.1), 22050)
    for source in (tmp_path / "a.wav", wav_bytes(tone(0.1), 22050)):
        samples, rate = read_wav(source)
        assert rate == 22050
        assert np.array_equal(samples, tone(0.1))


def test_what_is_no_mono_wav_is_refused(tmp_path: Path) -> None:
    (tmp_path / "no.wav").write_bytes(b"RIFF no")
    with wave.open(str(tmp_path / "stereo.wav"), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(8000)
    for name in ("no.wav", "stereo.wav", "missing.wav"):
        with pytest.raises(ProviderFailed):
            read_wav(tmp_path / name)


def test_silence_is_trimmed_at_both_ends_and_kept_inside() -> None:
    rate = 22050
    quiet = (np.random.default_rng(1).standard_normal(rate // 2) * 8).astype(np.int16)
    sound = np.concatenate([tone(0.2), np.zeros(rate // 2, np.int16), tone(0.2)])
    found = trimmed(np.concatenate([quiet, sound, quiet]), rate)
    assert len(found) / rate == pytest.approx(0.9, abs=0.03)
    assert len(found) >= len(sound) - 4
    assert trimmed(quiet // 8, rate).size == 0
    assert trimmed(EMPTY, rate).size == 0


def test_level() -> None:
    assert level_dbfs(tone(1.0, level=1.0)) == pytest.approx(-3.01, abs=0.02)
    assert level_dbfs(EMPTY) == -100


def test_flac_holds_the_lines_end_to_end(tmp_path: Path) -> None:
    write_flac(tmp_path / "a.flac", [tone(0.5), EMPTY, tone(0.25)], 22050)
    back = pcm.read(tmp_path / "a.flac", rate=22050)
    assert len(back) == len(tone(0.5)) + len(tone(0.25))
    assert np.allclose(back[: len(tone(0.5))] * 32768, tone(0.5), atol=1)


def test_a_plain_wav_is_read_as_ffmpeg_reads_it(tmp_path: Path) -> None:
    samples = np.arange(-30000, 30000, 7, dtype=np.int16)
    write_wav(tmp_path / "plain.wav", samples, 16_000)
    (tmp_path / "decoded.bin").write_bytes((tmp_path / "plain.wav").read_bytes())
    for span in ({}, {"start": 0.1, "end": 0.3}, {"start": 0.4, "end": 99.0}, {"start": 9.0}):
        plain = pcm.read(tmp_path / "plain.wav", rate=16_000, **span)
        assert np.array_equal(plain, pcm.read(tmp_path / "decoded.bin", rate=16_000, **span)), span
    assert [len(block) for block in pcm.stream(tmp_path / "plain.wav", rate=16_000, block=5000)] == [5000, 3572]
