"""Word error rate."""

from __future__ import annotations

import re

WORD = re.compile(r"[\w']+")


def normalised(text: str) -> list[str]:
    """Words in lower case, without punctuation."""
    return WORD.findall(text.lower().replace("’", "'"))


def word_error_rate(reference: str, hypothesis: str) -> float:
    """Substitutions, deletions and insertions over the reference's words (Levenshtein distance of words)."""
    wanted, got = normalised(reference), normalised(hypothesis)
    if not wanted:
        return float(bool(got))
    row = list(range(len(got) + 1))
    for i, word in enumerate(wanted, 1):
        before, row[0] = row[0], i
        for j, other in enumerate(got, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (word != other))
    return row[-1] / len(wanted)
