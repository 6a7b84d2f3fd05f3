"""Text as speech engines may get it: nothing in it is a command."""

from __future__ import annotations

import re
import unicodedata

PHONEMES = re.compile(r"\[(?=\[)")
"""``[[`` starts phoneme input in espeak-ng and piper."""
SPACES = re.compile(r"\s+")


def plain(text: str) -> str:
    """One line without control characters (Ctrl-A starts espeak-ng's embedded commands) and without ``[[``."""
    kept = "".join(" " if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") else c for c in text)
    return SPACES.sub(" ", PHONEMES.sub("[ ", kept)).strip()


def speakable(text: str) -> bool:
    """Whether there is anything in it that a voice can say."""
    return any(unicodedata.category(c)[0] in "LN" for c in text)
