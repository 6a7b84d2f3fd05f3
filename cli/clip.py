"""Makes the demo's clip on this machine: a talk by ffmpeg's ``flite`` voices over a moving test picture."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

TALK = Path(__file__).with_name("talk.txt")
VOICES = ("rms", "awb")
PAUSE = 0.6
"""Seconds after each sentence."""


def make_clip(target: Path, sentences: Sequence[str], *, size: str = "1280x720", fps: int = 25) -> Path:
    """Write the clip, and its words beside it as ``<name>.txt``. Raises CalledProcessError."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.with_suffix(".txt").write_text("\n".join(sentences) + "\n", encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        parts = []
        for number, sentence in enumerate(sentences):
            text = Path(folder) / f"{number}.txt"
            text.write_text(sentence, encoding="utf-8")
            voice = VOICES[number % len(VOICES)]
            parts += ["-f", "lavfi", "-i", f"flite=textfile={text}:voice={voice}"]
        heard = "".join(f"[{n}:a]aresample=48000,apad=pad_dur={PAUSE}[a{n}];" for n in range(len(sentences)))
        joined = "".join(f"[a{n}]" for n in range(len(sentences)))
        sound = Path(folder) / "talk.wav"
        _ffmpeg(
            *parts, "-filter_complex", f"{heard}{joined}concat=n={len(sentences)}:v=0:a=1[a]", "-map", "[a]", str(sound)
        )
        _ffmpeg(
            *("-f", "lavfi", "-i", f"testsrc2=size={size}:rate={fps}", "-i", str(sound), "-shortest"),
            *("-c:v", "libx264", "-preset", "veryfast", "-crf", "28", "-g", str(fps * 2), "-pix_fmt", "yuv420p"),
            *("-c:a", "aac", "-b:a", "128k", "-ac", "2", "-movflags", "+faststart", str(target)),
        )
    return target


def talk() -> list[str]:
    """The sentences of the demo's talk."""
    return TALK.read_text(encoding="utf-8").splitlines()


def _ffmpeg(*args: str) -> None:
    subprocess.run(["ffmpeg", "-nostdin", "-hide_banner", "-loglevel", "error", "-y", *args], check=True)


if __name__ == "__main__":
    make_clip(Path(sys.argv[1]), talk())
