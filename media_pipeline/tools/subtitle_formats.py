"""Subtitles as WebVTT, SubRip and TTML. Text is escaped, never passed on as markup."""

from __future__ import annotations

import re
from collections.abc import Iterable
from xml.sax.saxutils import escape, quoteattr

from media_pipeline.tools.subtitle_layout import Cue

TAG = re.compile(r"<(?=[/A-Za-z])")
NOT_XML = re.compile(r"[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 (section 2.2) does not have."""
TIMING = re.compile(r"(?:(\d+):)?(\d\d):(\d\d)\.(\d{3})\s+-->\s+(?:(\d+):)?(\d\d):(\d\d)\.(\d{3})")


def vtt(cues: Iterable[Cue]) -> str:
    """WebVTT (W3C)."""
    blocks = ["WEBVTT\n"]
    for number, cue in enumerate(cues, 1):
        blocks.append(f"{number}\n{clock(cue.start)} --> {clock(cue.end)}\n{_vtt_text(cue)}\n")
    return "\n".join(blocks)


def srt(cues: Iterable[Cue]) -> str:
    """SubRip; it has no escapes: what looks like a tag gets an invisible space (U+200B) behind its bracket."""
    blocks = []
    for number, cue in enumerate(cues, 1):
        times = f"{clock(cue.start, ',')} --> {clock(cue.end, ',')}"
        text = TAG.sub("<\u200b", cue.text.replace("-->", "→"))
        blocks.append(f"{number}\n{times}\n{text}\n")
    return "\n".join(blocks)


def ttml(cues: Iterable[Cue], *, language: str) -> str:
    """TTML1, text profile of IMSC1."""
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<tt xmlns="http://www.w3.org/ns/ttml" xml:lang={quoteattr(language)}>',
        "  <body>",
        "    <div>",
    ]
    for number, cue in enumerate(cues, 1):
        text = "<br/>".join(escape(NOT_XML.sub("", line)) for line in cue.lines)
        lines.append(f'      <p xml:id="c{number}" begin="{clock(cue.start)}" end="{clock(cue.end)}">{text}</p>')
    return "\n".join([*lines, "    </div>", "  </body>", "</tt>", ""])


def parse_vtt(text: str) -> tuple[Cue, ...]:
    """Read WebVTT that ``vtt`` wrote. ``segment`` is empty."""
    cues = []
    for block in text.replace("\r\n", "\n").split("\n\n"):
        lines = block.strip().split("\n")
        for at, line in enumerate(lines):
            if match := TIMING.match(line):
                g = match.groups()
                shown = tuple(_unescaped(shown) for shown in lines[at + 1 :])
                cues.append(Cue(_seconds(g[:4]), _seconds(g[4:]), shown or ("",), ""))
                break
    return tuple(cues)


def clock(seconds: float, mark: str = ".") -> str:
    """``01:02:03.004``."""
    milliseconds = max(0, round(seconds * 1000))
    minutes, rest = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{rest // 1000:02d}{mark}{rest % 1000:03d}"


def _vtt_text(cue: Cue) -> str:
    return cue.text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _unescaped(text: str) -> str:
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _seconds(parts: Iterable[str | None]) -> float:
    hours, minutes, seconds, milliseconds = (int(part or 0) for part in parts)
    return hours * 3600 + minutes * 60 + seconds + milliseconds / 1000
