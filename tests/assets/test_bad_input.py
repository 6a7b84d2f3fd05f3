"""Files that are not what they say, through the real upload: refused with a reason, or made use of."""

from __future__ import annotations

import os
import struct
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

SECRET = "the neighbour's secret"
PICTURE = ("-f", "lavfi", "-i", "testsrc2=size=160x90:rate=25")
TONE = ("-f", "lavfi", "-i", "sine=frequency=300:sample_rate=44100")
CODED = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac")


def ffmpeg(*args: str | Path) -> None:
    subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-y", *map(str, args)], check=True)


def film(path: Path, *more: str, seconds: float = 3) -> Path:
    ffmpeg(*PICTURE, *TONE, "-t", str(seconds), *CODED, *more, path)
    return path


def cut_at_the_index(folder: Path) -> Path:
    path = film(folder / "cut.mp4")  # the index stands at the end
    os.truncate(path, path.stat().st_size // 2)
    return path


def cut_behind_the_index(folder: Path) -> Path:
    path = film(folder / "cut.mp4", "-movflags", "+faststart", seconds=20)
    os.truncate(path, path.stat().st_size // 2)
    return path


def says_it_is_longer(folder: Path) -> Path:
    """The header of a Matroska file says an hour."""
    path = film(folder / "long.mkv")
    data = bytearray(path.read_bytes())
    at = data.index(b"\x44\x89\x88") + 3  # Duration (RFC 9559 5.1.2.10), an eight-byte float of milliseconds
    data[at : at + 8] = struct.pack(">d", 3_600_000.0)
    path.write_bytes(data)
    return path


def silent_picture(folder: Path) -> Path:
    path = folder / "mute.mp4"
    ffmpeg(*PICTURE, "-t", "2", *CODED, "-an", path)
    return path


def playlist(folder: Path) -> Path:
    neighbour = film(folder / "neighbour.mp4")
    path = folder / "film.mp4"
    path.write_text(f"#EXTM3U\n#EXTINF:3,\n{neighbour}\n#EXT-X-ENDLIST\n")
    return path


def indented_playlist(folder: Path) -> Path:
    path = playlist(folder)
    path.write_text("\n\n  " + path.read_text())
    return path


def concat_script(folder: Path) -> Path:
    neighbour = film(folder / "neighbour.mp4")
    path = folder / "film.mp4"
    path.write_text(f"ffconcat version 1.0\nfile '{neighbour}'\n")
    return path


def script_behind_an_id(folder: Path) -> Path:
    """An ID3 tag first, so that the first bytes look like music."""
    path = playlist(folder)
    path.write_bytes(b"ID3\x03\x00\x00\x00\x00\x00\x0a" + b"\0" * 10 + path.read_bytes())
    return path


def picture_bomb(folder: Path) -> Path:
    """A PNG of 900 million pixels in under a megabyte, named as a film."""
    row = zlib.compress(b"\0" * 30_001, 9)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 0, 0, 0, 0)
    path = folder / "bomb.mp4"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", row) + chunk(b"IEND", b""))
    return path


def film_of_a_bomb(folder: Path) -> Path:
    """A film whose frames are pictures of 900 million pixels, as its header and they themselves say."""
    path = folder / "bomb.avi"
    ffmpeg(*PICTURE, *TONE, "-t", "1", "-c:v", "png", "-c:a", "mp3", path)
    data = path.read_bytes()
    data = data.replace(struct.pack("<Iii", 40, 160, 90), struct.pack("<Iii", 40, 30_000, 30_000))
    data = data.replace(b"IHDR" + struct.pack(">II", 160, 90), b"IHDR" + struct.pack(">II", 30_000, 30_000))
    path.write_bytes(data)
    return path


def many_streams(folder: Path) -> Path:
    """5,000 audio streams, in the tables of an MP4 file that was made by hand from one of them."""
    path = folder / "many.mkv"
    source = folder / "one.mp4"
    ffmpeg(*TONE, "-t", "0.05", "-c:a", "aac", source)
    maps = [part for _ in range(900) for part in ("-map", "0:a")]
    ffmpeg("-i", source, *maps, "-c", "copy", path)
    return path


def script_in_pictures(folder: Path) -> Path:
    path = folder / "film.mp4"
    path.write_text('<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>')
    return path


def noise(folder: Path) -> Path:
    path = folder / "noise.mp4"
    path.write_bytes(os.urandom(50_000))
    return path


REFUSED: list[tuple[Callable[[Path], Path], str, str]] = [
    (noise, "not_media", "not audio or video"),
    (silent_picture, "no_audio", "no audio"),
    (cut_at_the_index, "truncated", "cut short"),
    (cut_behind_the_index, "truncated", "cut short"),
    (says_it_is_longer, "truncated", "says that it is 3600"),
    (playlist, "playlist", "playlist"),
    (indented_playlist, "playlist", "playlist"),
    (concat_script, "playlist", "playlist"),
    (script_behind_an_id, "truncated", "cut short"),
    (picture_bomb, "not_media", "not audio or video"),
    (film_of_a_bomb, "too_many_pixels", "pixels"),
    (many_streams, "too_many_streams", "streams"),
    (script_in_pictures, "playlist", "not media"),
]


@pytest.fixture
def send(user: Any, api: Any) -> Callable[[Path], Any]:
    """Upload a file as its owner."""

    def upload(path: Path) -> Any:
        return api(user).post("/api/v1/assets", {"file": SimpleUploadedFile(path.name, path.read_bytes())})

    return upload


@pytest.mark.parametrize(("make", "code", "words"), REFUSED, ids=[entry[0].__name__ for entry in REFUSED])
def test_it_is_refused_with_its_reason(
    make: Callable[[Path], Path], code: str, words: str, send: Any, tmp_path: Path
) -> None:
    answer = send(make(tmp_path))
    assert answer.status_code == 422, answer.content
    problem = answer.json()
    assert answer["Content-Type"] == "application/problem+json"
    assert problem["code"] == code, problem
    assert words in problem["detail"]
    assert str(tmp_path) not in answer.content.decode()
    assert SECRET not in answer.content.decode()


def test_a_bomb_takes_little_memory(send: Any, tmp_path: Path) -> None:
    path = film_of_a_bomb(tmp_path)
    before = psutil.Process().memory_info().rss
    send(path)
    assert psutil.Process().memory_info().rss - before < 100 << 20


TAKEN: dict[str, tuple[str, ...]] = {
    "odd.mp4": ("-vf", "scale=101:75", "-pix_fmt", "yuv444p"),
    "turned.mp4": ("-metadata:s:v:0", "rotate=90"),
    "late sound.mkv": ("-af", "adelay=1000:all=1"),
    "six channels.mkv": ("-ac", "6", "-c:a", "libopus", "-mapping_family", "1"),
    "old phone.3gp": ("-c:v", "h263", "-s", "176x144", "-c:a", "aac", "-ar", "8000", "-ac", "1"),
    "web.webm": ("-c:v", "libvpx", "-c:a", "libvorbis", "-deadline", "realtime"),
    "voice.wav": ("-vn", "-c:a", "pcm_s16le", "-ar", "8000", "-ac", "1"),
    "music.mp3": ("-vn", "-c:a", "libmp3lame"),
    "Ünïcode 映画.mov": (),
}


@pytest.mark.parametrize("name", TAKEN)
def test_unusual_films_are_taken(name: str, send: Any, tmp_path: Path) -> None:
    path = tmp_path / name
    ffmpeg(*PICTURE, *TONE, "-t", "2", *CODED, *TAKEN[name], path)
    answer = send(path)
    assert answer.status_code == 201, answer.content
    asset = answer.json()
    assert asset["filename"] == name
    assert asset["duration"] == pytest.approx(2, abs=0.2) or name == "late sound.mkv"
    assert asset["kind"] == ("audio" if "-vn" in TAKEN[name] else "video")


def test_the_length_is_that_of_the_longest_track(send: Any, tmp_path: Path) -> None:
    path = tmp_path / "uneven.mkv"
    ffmpeg(*PICTURE, "-f", "lavfi", "-t", "1.5", "-i", "sine=frequency=300", "-t", "3", *CODED, path)
    assert send(path).json()["duration"] == pytest.approx(3, abs=0.1)
