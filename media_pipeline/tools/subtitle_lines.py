"""Text into lines and blocks of lines, broken where a reader would pause and never inside a word."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence
from functools import cache

from media_pipeline import languages

IDEOGRAPHIC = frozenset({"zh", "ja", "yue"})
"""Written without spaces; may break between any two characters, save before or after some marks."""
UNSPACED = frozenset({"th", "lo", "km", "my", "bo"})
"""Written without spaces between words: a space ends a phrase. Only a run too long for a line is cut, between
letters that stand for themselves."""

SENTENCE_END = (".", "!", "?", "…", "。", "！", "？", "؟", "।", "།", "։")
CLAUSE_END = (",", ";", ":", "—", "–", "，", "、", "；", "：", "،", "؛")
CLOSING = "\"'’”»)]}）」』】》〉。，、！？；：…"
OPENING = "\"'‘“«([{（「『【《〈¿¡"
AFTER_SENTENCE, AFTER_CLAUSE, BEFORE_CONJUNCTION, BEFORE_PREPOSITION = -20.0, -12.0, -10.0, -5.0
AFTER_LINKING = 8.0

CONJUNCTIONS = {
    "en": """and but or nor so yet because although though while whereas if unless until when whenever where that
        which who whom whose""",
    "es": """y e o u ni pero sino aunque porque pues que quien quienes cuando mientras donde como si cuyo cuya""",
    "ca": """i o ni però sinó perquè ja que qui quan mentre on com si malgrat""",
    "fr": """et ou ni mais car donc or que qu' qui quand lorsque lorsqu' puisque puisqu' parce où comme si dont""",
    "de": """und oder aber denn sondern weil da dass ob wenn als während wo wie welche welcher welches damit obwohl""",
    "it": """e ed o od ma né però perché poiché che chi quando mentre dove come se cui""",
    "pt": """e ou nem mas porém porque pois que quem quando enquanto onde como se cujo""",
    "nl": """en of maar want omdat dat die wat wie wanneer terwijl waar als dan""",
}
"""And relative pronouns: a clause begins here."""
PREPOSITIONS = {
    "en": """than as since to of in on at for with without from by about into onto over under after before between
        through during against toward towards among across behind beyond upon within""",
    "es": """a al ante bajo con contra de del desde durante en entre hacia hasta mediante para por según sin sobre
        tras""",
    "ca": """a al als amb contra de del dels des d' en entre fins per pel pels segons sense sobre sota durant cap
        vers""",
    "fr": """à au aux avec chez contre dans de d' des du depuis derrière devant durant en entre jusque jusqu' par
        pendant pour sans selon sous sur vers""",
    "de": """an am auf aus bei beim bis durch für gegen in im ins mit nach neben ohne seit über um unter von vom vor
        wegen zu zum zur zwischen""",
    "it": """a ad al allo alla ai agli alle con contro da dal dalla dai di del dello della dei degli delle d' dell'
        all' dall' nell' in nel nella nei nelle per su sul sulla tra fra senza verso""",
    "pt": """a ao aos à às ante até com contra de do da dos das desde durante em no na nos nas entre para pelo pela
        pelos pelas por segundo sem sobre sob""",
    "nl": """aan achter bij boven door in met na naar om onder op over per sinds te tegen tot tussen uit van voor
        zonder""",
}
"""A line may begin with one; it does not end with one."""
ARTICLES = {
    "en": "the a an",
    "es": "el la los las un una unos unas lo su sus mi mis tu tus se me te le no",
    "ca": "el la els les un una uns unes l' el seu no es em et hi ho",
    "fr": "le la les un une l' ce cette ces son sa ses ne se je tu il elle on nous vous",
    "de": "der die das den dem des ein eine einen einem einer eines nicht",
    "it": "il lo la i gli le un uno una l' un' non si mi ti",
    "pt": "o a os as um uma uns umas não se me te",
    "nl": "de het een niet",
}
"""Small words that belong to what follows."""

_IDEOGRAPHIC_TOKEN = re.compile(
    rf"[{re.escape(OPENING)}]*(?:[A-Za-z0-9\u00c0-\u024f.,:%$€@/_+'-]*[A-Za-z0-9\u00c0-\u024f%]|.)[{re.escape(CLOSING)}ー々〜]*\s*"
)


def width(text: str) -> int:
    """Characters as readers count them: marks that sit on another letter take no place."""
    return sum(unicodedata.category(c) not in ("Mn", "Me", "Cf") for c in text)


def tokens(text: str, language: str) -> list[str]:
    """What lines are made of: words, or characters where a language breaks between them; each with its space."""
    code = languages.primary(language)
    text = " ".join(text.split())
    if code in IDEOGRAPHIC:
        return _IDEOGRAPHIC_TOKEN.findall(text)
    return [word + " " for word in text.split(" ") if word]


def cut_for(words: Sequence[str], language: str, characters: int) -> list[str]:
    """The tokens, with unspaced runs longer than a line cut between letters where the language writes no spaces."""
    if languages.primary(language) not in UNSPACED:
        return list(words)
    made: list[str] = []
    for word in words:
        made += _pieces(word, characters) if width(word.rstrip()) > characters else [word]
    return made


def joined(words: Sequence[str]) -> str:
    """The text of some tokens."""
    return "".join(words).strip()


def fits(words: Sequence[str], characters: int, lines: int) -> bool:
    """Whether they can be broken into so many lines of so many characters."""
    used, line = 1, ""
    for word in words:
        if line and width((line + word).rstrip()) > characters:
            used, line = used + 1, word
        else:
            line += word
        if width(line.rstrip()) > characters or used > lines:
            return False
    return True


def blocks(words: Sequence[str], language: str, characters: int, lines: int, least: int = 1) -> list[list[str]]:
    """As few blocks as fit (at least ``least``), of about the same length, cut where a reader would pause."""
    words = cut_for(words, language, characters)
    count = max(least, math.ceil(width(joined(words)) / (characters * lines)))
    if len(words) < 2 or (count < 2 and fits(words, characters, lines)):
        return [words]
    count = max(2, count)
    aim = width(joined(words)) / count

    def cost(at: int) -> float:
        return 1.2 * abs(width(joined(words[:at])) - aim) + joint(words, at, language)

    fitting = [at for at in range(1, len(words)) if fits(words[:at], characters, lines)]
    at = min(fitting or [1], key=cost)
    return [list(words[:at]), *blocks(words[at:], language, characters, lines, count - 1)]


def broken(words: Sequence[str], language: str, characters: int, lines: int) -> tuple[str, ...]:
    """The lines of one block: one if it fits, else two balanced ones (or more, where only more fit)."""
    text = joined(words)
    if lines < 2 or len(words) < 2 or width(text) <= characters:
        return (text,)

    def cost(at: int) -> float:
        first, second = width(joined(words[:at])), width(joined(words[at:]))
        over = max(0, first - characters) + max(0, second - characters)
        return abs(first - second) / 2 + 1000 * over + joint(words, at, language)

    at = min(range(1, len(words)), key=cost)
    return (joined(words[:at]), joined(words[at:]))


def joint(words: Sequence[str], at: int, language: str) -> float:
    """How bad it is to break before ``words[at]``; below nothing where it is good."""
    code = languages.primary(language)
    before, after = words[at - 1].strip().lower(), words[at].strip().lower().lstrip(OPENING)
    ending = before.rstrip("\"'’”»)")
    if ending.endswith(SENTENCE_END):
        return AFTER_SENTENCE
    if ending.endswith(CLAUSE_END):
        return AFTER_CLAUSE
    conjunctions, prepositions, articles = _small_words(code)
    starts = {after, _elided(after)}
    value = 0.0
    if starts & conjunctions:
        value += BEFORE_CONJUNCTION
    elif starts & prepositions:
        value += BEFORE_PREPOSITION
    if before.lstrip(OPENING) in conjunctions | prepositions | articles:
        value += AFTER_LINKING
    return value


@cache
def _small_words(code: str) -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
    conjunctions, prepositions, articles = (
        frozenset(words.get(code, "").split()) for words in (CONJUNCTIONS, PREPOSITIONS, ARTICLES)
    )
    return conjunctions, prepositions, articles


def _elided(word: str) -> str:
    """``d'eau`` begins with ``d'``."""
    head, mark, _ = word.replace("’", "'").partition("'")
    return head + mark


def _pieces(word: str, characters: int) -> list[str]:
    """Runs of whole letters (a letter with its marks is one), as even as can be."""
    letters = re.findall(r".[\u0300-\u036f\u0e31\u0e34-\u0e3a\u0e47-\u0e4e\u0eb1\u0eb4-\u0ebc\u0ec8-\u0ece\u0f71-\u0f84"
                         r"\u0f90-\u0fbc\u102b-\u103e\u1056-\u1059\u17b4-\u17d3]*", word)  # fmt: skip
    count = math.ceil(width(word.rstrip()) / characters)
    size = math.ceil(len(letters) / count)
    return ["".join(letters[at : at + size]) for at in range(0, len(letters), size)]
