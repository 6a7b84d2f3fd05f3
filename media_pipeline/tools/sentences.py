"""Sentences from recognised words: by punctuation where the recogniser gives it, by pauses where it does not."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise
from statistics import median

from media_pipeline.segments import Segment, Word

SENTENCE_END = re.compile(r"[.!?…。！？]['\"”’)]*$")
SHORTEST_BREAK = 0.3
"""Seconds; a shorter pause is a breath."""
LONGEST_SECONDS = 12.0
LONGEST_WORDS = 30
FEWEST_WORDS = 3
CONJUNCTIONS = frozenset({"and", "but", "because", "so", "or", "which", "that", "when", "while", "if", "then"})
QUESTION_WORDS = frozenset({"who", "what", "when", "where", "why", "how", "which", "whose"})
AUXILIARIES = frozenset(
    {"is", "are", "was", "were", "do", "does", "did", "can", "could", "will", "would", "shall", "should", "have", "has"}
)
SUBJECTS = frozenset({"i", "you", "he", "she", "it", "we", "they", "this", "that", "there", "the", "a", "my", "your"})


def sentences_from_words(words: Sequence[Word], *, language: str) -> tuple[Segment, ...]:
    """Segments in order, with ids ``s0001``…; each begins and ends with a word and keeps its words' times."""
    punctuated = sum(bool(SENTENCE_END.search(word.text)) for word in words) > len(words) / 60
    groups = _by_punctuation(words) if punctuated else _by_pauses(words)
    pieces = [piece for group in groups for piece in _not_too_long(group)]
    return tuple(_segment(index, piece, language, punctuated) for index, piece in enumerate(pieces, 1))


def _by_punctuation(words: Sequence[Word]) -> list[list[Word]]:
    groups: list[list[Word]] = [[]]
    for word in words:
        groups[-1].append(word)
        if SENTENCE_END.search(word.text):
            groups.append([])
    return [group for group in groups if group]


def _by_pauses(words: Sequence[Word]) -> list[list[Word]]:
    """Break where the speaker pauses clearly longer than between words of a phrase."""
    pauses = [after.start - before.end for before, after in pairwise(words)]
    breaths = [pause for pause in pauses if pause >= 0.1]
    threshold = max(SHORTEST_BREAK, min(0.6, median(breaths))) if breaths else SHORTEST_BREAK
    groups: list[list[Word]] = [[]]
    for index, word in enumerate(words):
        if index and pauses[index - 1] >= threshold:
            groups.append([])
        groups[-1].append(word)
    return _without_crumbs([group for group in groups if group])


def _without_crumbs(groups: list[list[Word]]) -> list[list[Word]]:
    """A word or two alone belong to the neighbour that is nearer, unless the pause is a long one."""
    result: list[list[Word]] = []
    for group in groups:
        near = result and group[0].start - result[-1][-1].end < 2 * SHORTEST_BREAK
        if near and (len(group) < FEWEST_WORDS or len(result[-1]) < FEWEST_WORDS):
            result[-1] += group
        else:
            result.append(group)
    return result


def _not_too_long(group: list[Word]) -> Iterable[list[Word]]:
    """Halve at the best place until every part can be spoken and read in one go."""
    if len(group) < 2 * FEWEST_WORDS:
        return [group]
    if group[-1].end - group[0].start <= LONGEST_SECONDS and len(group) <= LONGEST_WORDS:
        return [group]
    middle = len(group) / 2

    def merit(at: int) -> float:
        pause = group[at].start - group[at - 1].end
        joint = 0.3 if group[at].text.lower() in CONJUNCTIONS else 0.0
        comma = 0.5 if group[at - 1].text.endswith((",", ";", ":")) else 0.0
        return pause + joint + comma - 0.6 * abs(at - middle) / middle

    at = max(range(FEWEST_WORDS, len(group) - FEWEST_WORDS + 1), key=merit)
    return [*_not_too_long(group[:at]), *_not_too_long(group[at:])]


def _segment(index: int, words: list[Word], language: str, punctuated: bool) -> Segment:
    text = " ".join(word.text for word in words)
    return Segment(
        id=f"s{index:04d}",
        start=words[0].start,
        end=words[-1].end,
        text=text if punctuated else written(text, language=language),
        words=tuple(words),
    )


def written(text: str, *, language: str) -> str:
    """Bare words as a sentence: a capital first, a mark at the end, in English the pronoun I."""
    if language == "en":
        text = re.sub(r"\bi(?=$|\s|')", "I", text)
    if not text:
        return text
    mark = "?" if language == "en" and _asks(text.lower().split()) else "."
    return text[0].upper() + text[1:] + mark


def _asks(words: Sequence[str]) -> bool:
    if len(words) < 3:
        return False
    wh_first = words[0] in QUESTION_WORDS and words[1] in AUXILIARIES
    return wh_first or (words[0] in AUXILIARIES and words[1] in SUBJECTS)
