"""Subtitles: lines, cues, times, formats."""

from __future__ import annotations

import re
from itertools import pairwise
from xml.etree import ElementTree

import pysubs2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media_pipeline.segments import Segment, Word
from media_pipeline.tools import subtitle_formats
from media_pipeline.tools.subtitle_layout import Cue, Rules, lay_out, rules_for, violations
from media_pipeline.tools.subtitle_lines import broken, joined, tokens, width

RULES = rules_for("es", profile="netflix", fps=25)
TTML = "{http://www.w3.org/ns/ttml}"


def segment(start: float, end: float, text: str, id: str = "a", words: tuple[Word, ...] = ()) -> Segment:
    return Segment(id, start, end, text, words=words)


def laid(*segments: Segment, language: str = "es", rules: Rules = RULES, film: float = 100.0) -> tuple[Cue, ...]:
    return lay_out(segments, language=language, rules=rules, film_seconds=film)


@pytest.mark.parametrize(
    ("language", "characters", "speed"),
    [
        ("es", 42, 17),
        ("en-US", 42, 20),
        ("ar", 42, 20),
        ("hi", 42, 22),
        ("zh", 16, 9),
        ("ko", 16, 12),
        ("ja", 23, 4),
        ("th", 35, 17),
    ],
)
def test_limits_by_language(language: str, characters: int, speed: float) -> None:
    rules = rules_for(language, profile="netflix", fps=24)
    assert (rules.characters, rules.lines, rules.reading_speed) == (characters, 2, speed)
    assert (rules.shortest, rules.longest, rules.gap) == (pytest.approx(5 / 6), 7.0, pytest.approx(2 / 24))


def test_limits_by_profile_and_shape() -> None:
    assert rules_for("es", profile="bbc", fps=0).characters == 37
    assert rules_for("es", profile="bbc", fps=0).gap == pytest.approx(0.08)
    assert rules_for("es", profile="shorts", fps=25).characters == 24
    assert rules_for("es", profile="netflix", fps=25, vertical=True).characters == 24
    assert rules_for("zh", profile="netflix", fps=25, vertical=True).characters == 16


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "The first step is to find the places | where people speak."),
        ("en", "We recognise the words, | then we translate them."),
        ("es", "Reconocemos las palabras del texto | y luego traducimos todo."),
        ("fr", "Nous allons parler longtemps | du cinéma et d'autres arts."),
        ("de", "Wir haben den ganzen Tag gewartet, | weil es stark regnete."),
        ("it", "Oggi voglio parlare di un lavoro | che nessuno conosce davvero."),
        ("pt", "Hoje quero falar de um trabalho | que quase ninguém conhece."),
        ("ca", "Avui vull parlar de com es dobla | una pel·lícula sencera."),
    ],
)
def test_lines_break_where_a_reader_pauses(language: str, text: str) -> None:
    words = tokens(text.replace(" | ", " "), language)
    assert " | ".join(broken(words, language, 42, 2)) == text


def test_a_line_does_not_end_with_an_article() -> None:
    first, second = broken(
        tokens("Los primeros resultados muestran que la velocidad del habla cambia.", "es"), "es", 42, 2
    )
    assert not first.endswith((" la", " que", " del"))
    assert joined([first + " ", second]) == "Los primeros resultados muestran que la velocidad del habla cambia."


def test_chinese_breaks_between_characters_and_keeps_words_of_latin_letters() -> None:
    text = "我们使用 OpenTelemetry 来测量这个系统的速度，然后写下结果。"
    cues = laid(segment(0, 9, text), language="zh", rules=rules_for("zh", profile="netflix", fps=25))
    lines = [line for cue in cues for line in cue.lines]
    assert all(width(line) <= 16 for line in lines)
    assert any("OpenTelemetry" in line for line in lines)
    assert not any(line.startswith(("，", "。")) for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


def test_thai_is_not_cut_between_a_letter_and_its_mark() -> None:
    text = "ภาษาไทยไม่มีช่องว่างระหว่างคำดังนั้นบรรทัดที่ยาวมากจึงต้องตัดตรงที่ใดที่หนึ่ง"
    cues = laid(segment(0, 8, text), language="th", rules=rules_for("th", profile="netflix", fps=25))
    lines = [line for cue in cues for line in cue.lines]
    assert all(width(line) <= 35 for line in lines)
    assert "".join(lines) == text
    assert not any(re.match("[\u0e31\u0e34-\u0e3a\u0e47-\u0e4e]", line) for line in lines)


def test_a_long_sentence_becomes_cues_at_the_times_of_its_words() -> None:
    text = "Today I want to talk about films, and how they get a new voice in every language that people speak."
    said = text.split()
    words = tuple(Word(n * 0.4, n * 0.4 + 0.35, word) for n, word in enumerate(said))
    cues = laid(segment(0, 8.4, text, words=words), language="en", rules=rules_for("en", profile="netflix", fps=25))
    assert len(cues) == 2
    second = cues[1].lines[0].split()[0]
    assert cues[1].start == pytest.approx(words[said.index(second)].start, abs=0.2)
    assert " ".join(line for cue in cues for line in cue.lines) == text


def test_a_cue_stays_through_the_pause_until_it_can_be_read() -> None:
    text = "Cuarenta y dos caracteres que leer despacio."
    cue = laid(segment(0, 1, text), segment(9, 10, "Adiós.", "b"))[0]
    assert cue.end - cue.start == pytest.approx(len(text) / 17, abs=0.002)


def test_what_cannot_be_read_in_time_stays_whole_and_is_told() -> None:
    texts = [
        "Una frase tan larga que nadie la puede leer en un segundo.",
        "Otra frase que tampoco cabe en un segundo, ni mucho menos.",
    ]
    cues = laid(segment(0, 1, texts[0]), segment(1, 2, texts[1], "b"), film=2.0)
    assert [" ".join(cue.lines) for cue in cues] == texts
    found = violations(cues, RULES)
    assert {(v["rule"], v["segment"]) for v in found} == {("reading_speed", "a"), ("reading_speed", "b")}


def test_very_short_neighbours_share_a_cue() -> None:
    cues = laid(segment(1.0, 1.3, "Sí."), segment(1.4, 1.8, "Claro.", "b"), segment(5, 6, "Bueno.", "c"))
    assert [cue.text for cue in cues] == ["Sí. Claro.", "Bueno."]


def test_a_slow_sentence_is_not_shown_longer_than_seven_seconds() -> None:
    cues = laid(segment(0, 12, "Tres palabras lentas."))
    assert all(cue.end - cue.start <= 7.0 for cue in cues)


@st.composite
def talks(draw: st.DrawFn) -> tuple[list[Segment], float]:
    at, made = 0.0, []
    for n in range(draw(st.integers(0, 10))):
        at += draw(st.floats(0, 4))
        length = draw(st.floats(0.1, 12))
        text = " ".join(draw(st.lists(st.text("abcdeñ,.", min_size=1, max_size=14), min_size=1, max_size=40)))
        made.append(segment(round(at, 3), round(at + length, 3), text, f"s{n}"))
        at += length
    return made, at + draw(st.floats(0, 3))


@settings(deadline=None)
@given(talks(), st.sampled_from(["es", "zh", "ja"]))
def test_any_talk(talk: tuple[list[Segment], float], language: str) -> None:
    segments, film = talk
    rules = rules_for(language, profile="netflix", fps=25)
    cues = lay_out(segments, language=language, rules=rules, film_seconds=film)
    whole = "".join(line for cue in cues for line in cue.lines)
    assert whole.replace(" ", "") == "".join(s.text for s in segments).replace(" ", ""), "no text is lost"
    for before, after in pairwise(cues):
        assert before.end <= after.start, "no two at once"
    for cue in cues:
        assert 0 <= cue.start < cue.end
        assert cue.end - cue.start <= rules.longest + 0.002
        assert len(cue.lines) <= 2
        fitting = all(width(word) <= rules.characters for word in cue.text.split())
        assert not fitting or all(width(line) <= rules.characters for line in cue.lines)
    broken_gaps = {v["cue"] for v in violations(cues, rules) if v["rule"] == "gap"}
    assert not broken_gaps


CUES = (
    Cue(0.5, 2.0, ("a < b & c > d", "--> no arrow"), "a"),
    Cue(3661.25, 3662.0, ("<script>x</script>", 'quoted "text"'), "b"),
)


def test_webvtt_escapes_and_reads_back() -> None:
    text = subtitle_formats.vtt(CUES)
    assert text.startswith("WEBVTT\n\n1\n00:00:00.500 --> 00:00:02.000\na &lt; b &amp; c &gt; d\n--&gt; no arrow\n")
    assert "01:01:01.250 --> 01:01:02.000" in text
    assert text.count("-->") == 2
    assert [(c.start, c.end, c.lines) for c in subtitle_formats.parse_vtt(text)] == [
        (c.start, c.end, c.lines) for c in CUES
    ]


def test_subrip_is_read_by_others_and_has_no_tags() -> None:
    text = subtitle_formats.srt(CUES)
    events = pysubs2.SSAFile.from_string(text, format_="srt")
    assert [(e.start, e.end) for e in events] == [(500, 2000), (3661250, 3662000)]
    assert text.count("-->") == 2
    assert not re.search(r"<[/a-zA-Z]", text)


def test_ttml_is_valid_xml_with_times_and_lines() -> None:
    cues = (*CUES, Cue(3700, 3701, ("bell \x07 and \x00 nothing",), "c"))
    root = ElementTree.fromstring(subtitle_formats.ttml(cues, language="es").encode())
    assert root.tag == TTML + "tt"
    assert root.get("{http://www.w3.org/XML/1998/namespace}lang") == "es"
    paragraphs = list(root.iter(TTML + "p"))
    assert [p.get("begin") for p in paragraphs] == ["00:00:00.500", "01:01:01.250", "01:01:40.000"]
    assert paragraphs[0].text == "a < b & c > d"
    assert paragraphs[0].find(TTML + "br").tail == "--> no arrow"


def test_no_cues_are_valid_files() -> None:
    assert subtitle_formats.vtt(()) == "WEBVTT\n"
    assert subtitle_formats.srt(()) == ""
    assert not list(ElementTree.fromstring(subtitle_formats.ttml((), language="es").encode()).iter(TTML + "p"))
    assert subtitle_formats.parse_vtt("WEBVTT\n") == ()
