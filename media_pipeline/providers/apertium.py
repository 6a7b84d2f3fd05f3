"""Apertium: rule-based translation, offline; Debian's packages bring the pairs."""

from __future__ import annotations

import re
import shutil
from collections import deque
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from media_pipeline import languages
from media_pipeline.errors import ProviderFailed, ProviderNotReady, ToolFailed
from media_pipeline.providers.base import (
    Capabilities,
    Check,
    MtProvider,
    TranslateHints,
    Translation,
    no_check,
)
from media_pipeline.tools.process import Limits, run

Pair = tuple[str, str]

MODE = re.compile(r"[a-z]{2,3}-[a-z]{2,3}")
"""Modes with a variety behind the pair (``eng-cat_valencia``) are not the plain language."""
PARAGRAPH = re.compile(r'<p n="(\d+)">(.*?)</p>', re.DOTALL)
HIDDEN = {"<": "\ue000", ">": "\ue001", "&": "\ue002"}
"""Characters that the HTML format would take for markup travel as private-use ones, which Apertium leaves alone."""
SHOWN = str.maketrans({hidden: shown for shown, hidden in HIDDEN.items()})
HIDE = str.maketrans(HIDDEN)
MOST_STEPS = 2
HOW_TO_GET = (
    "No language pair of Apertium is installed. On Debian: apt install apertium apertium-eng-spa apertium-eng-cat"
)


class Apertium(MtProvider):
    """One process for a batch: each text is a paragraph of one HTML document, numbered so that none can be lost."""

    id = "apertium"
    version = "1"

    def capabilities(self) -> Capabilities:
        if not modes():
            return Capabilities(ready=False, message=HOW_TO_GET)
        return Capabilities(pairs=frozenset(routes()), batch_size=500)

    def fingerprint(self) -> str:
        return f"{self.version}:{_engine_version()}"

    def translate(
        self,
        texts: Sequence[str],
        *,
        source: str,
        target: str,
        hints: TranslateHints | None = None,
        check: Check = no_check,
    ) -> tuple[Translation, ...]:
        route = routes().get((languages.primary(source), languages.primary(target)))
        if route is None:
            raise ProviderNotReady(f"Apertium has no pair {source} → {target}. {HOW_TO_GET}")
        current = list(texts)
        for step in route:
            current = _translate(current, modes()[step], check)
        return tuple(Translation(text) for text in current)


def _translate(texts: Sequence[str], mode: str, check: Check) -> list[str]:
    document = "\n".join(f'<p n="{n}">{text.translate(HIDE)}</p>' for n, text in enumerate(texts))
    try:
        done = run(
            ["apertium", "-u", "-f", "html-noent", mode],
            stdin=document.encode(),
            limits=Limits(seconds=60 + 0.5 * len(texts)),
            check=check,
        )
    except ToolFailed as error:
        raise ProviderFailed(f"Apertium could not translate: {error.detail}") from error
    found = {int(n): text.translate(SHOWN) for n, text in PARAGRAPH.findall(done.stdout.decode("utf-8", "replace"))}
    if len(found) != len(texts):
        raise ProviderFailed(f"Apertium gave {len(found)} of {len(texts)} texts back.")
    return [found[n].strip() if texts[n].strip() else texts[n] for n in range(len(texts))]


@cache
def modes() -> dict[Pair, str]:
    """The installed modes by pair of BCP 47 languages."""
    if shutil.which("apertium") is None:
        return {}
    listed = run(["apertium", "-l"], ok=range(256)).stdout.decode().split()
    pairs: dict[Pair, str] = {}
    for mode in listed:
        if MODE.fullmatch(mode):
            of, to = (languages.primary(part) for part in mode.split("-"))
            pairs.setdefault((of, to), mode)
    return pairs


@cache
def routes() -> dict[Pair, tuple[Pair, ...]]:
    """For each pair that can be done, the modes to go through: the direct one, or two over a third language."""
    found: dict[Pair, tuple[Pair, ...]] = {}
    for start in {of for of, _ in modes()}:
        for end, path in _reach(start):
            found[start, end] = path
    return found


def _reach(start: str) -> Iterable[tuple[str, tuple[Pair, ...]]]:
    seen = {start}
    waiting: deque[tuple[str, tuple[Pair, ...]]] = deque([(start, ())])
    while waiting:
        at, path = waiting.popleft()
        for of, to in sorted(modes()):
            if of == at and to not in seen and len(path) < MOST_STEPS:
                seen.add(to)
                further = (*path, (of, to))
                waiting.append((to, further))
                yield to, further


@cache
def _engine_version() -> str:
    """Apertium's own version and the pairs': another dictionary translates otherwise."""
    said: Any = run(["apertium", "-V"], ok=range(256))
    return " ".join(said.stdout.decode().split())[:40] or said.stderr[:40]
