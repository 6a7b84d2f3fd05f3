"""Segments: what was said, when, by whom; and what becomes of it in another language.

Times are seconds from the start of the film, as floats rounded to milliseconds when written.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

Origin = Literal["mt", "tm", "human"]


@dataclass(frozen=True, slots=True)
class Word:
    """One recognised word. ``confidence`` is 0 to 1."""

    start: float
    end: float
    text: str
    confidence: float = 1.0


@dataclass(frozen=True, slots=True)
class Fit:
    """The verdict on one dubbed line.

    ``slot``: seconds there were; ``natural``: seconds the line took unhurried; ``speed``: factor applied in all
    (1.0 is natural, above is faster); ``start``/``duration``: where it was placed; ``overflow``: seconds by which it
    is still too long; ``verdict``: ``natural``, ``faster`` (up to 1.2), ``pause`` (used the pause after the line),
    ``squeezed`` (up to 1.4) or ``overflow``.
    """

    slot: float
    natural: float
    speed: float
    start: float
    duration: float
    verdict: Literal["natural", "faster", "pause", "squeezed", "overflow"]
    overflow: float = 0.0


@dataclass(frozen=True, slots=True)
class Segment:
    """One sentence or phrase of the source, or its translation.

    ``source_id``, ``origin``, ``provider``, ``score``, ``flags`` and ``fit`` are of translated segments only.
    """

    id: str
    start: float
    end: float
    text: str
    speaker: str = "S1"
    words: tuple[Word, ...] = ()
    source_id: str | None = None
    origin: Origin | None = None
    provider: str | None = None
    score: float | None = None
    flags: tuple[str, ...] = field(default=())
    fit: Fit | None = None

    @property
    def duration(self) -> float:
        """Seconds between start and end."""
        return self.end - self.start

    def with_(self, **changes: Any) -> Segment:
        """A copy with the fields changed."""
        return replace(self, **changes)

    def to_json(self) -> dict[str, Any]:
        """The public form: source segments leave out what only translations have."""
        data = asdict(self)
        data["words"] = [
            {
                "start": round(w.start, 3),
                "end": round(w.end, 3),
                "text": w.text,
                "confidence": round(w.confidence, 3),
            }
            for w in self.words
        ]
        data["flags"] = list(self.flags)
        data["start"], data["end"] = round(self.start, 3), round(self.end, 3)
        if self.source_id is None:
            for name in ("source_id", "origin", "provider", "score", "flags", "fit"):
                del data[name]
        return data

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Segment:
        """The inverse of ``to_json``. Raises KeyError or TypeError on a foreign shape."""
        fit = data.get("fit")
        return cls(
            id=data["id"],
            start=float(data["start"]),
            end=float(data["end"]),
            text=data["text"],
            speaker=data.get("speaker", "S1"),
            words=tuple(Word(**w) for w in data.get("words", ())),
            source_id=data.get("source_id"),
            origin=data.get("origin"),
            provider=data.get("provider"),
            score=data.get("score"),
            flags=tuple(data.get("flags") or ()),
            fit=Fit(**fit) if fit else None,
        )


def write_segments(path: Path, segments: Iterable[Segment], *, language: str) -> None:
    """Write ``{"language", "segments": [...]}`` as UTF-8 JSON."""
    payload = {"language": language, "segments": [s.to_json() for s in segments]}
    path.write_text(json.dumps(payload, ensure_ascii=False, indent=1), encoding="utf-8")


def read_segments(path: Path) -> tuple[Segment, ...]:
    """Read what ``write_segments`` wrote."""
    payload = json.loads(path.read_text(encoding="utf-8"))
    return tuple(Segment.from_json(s) for s in payload["segments"])
