"""What every provider of a kind must do, for each registered one and for the fakes.

Those that are not ready on this machine (their model is the user's to download) are asked for what they owe anyway: a
message that says how to get it, and a typed error.
"""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from media_pipeline import languages, registry
from media_pipeline.errors import Cancelled, PipelineError, ProviderNotReady, UnsupportedLanguage
from media_pipeline.providers.base import AsrProvider, Line, MtProvider, Provider, TtsProvider
from media_pipeline.providers.fakes import FakeAsr, FakeMt, FakeTts
from media_pipeline.tools.audio import read_wav
from media_pipeline.tools.wer import word_error_rate

FAKES: list[Provider] = [FakeAsr(), FakeMt(), FakeTts()]
ALL: list[Provider] = [*(registry.configured(registry.resolve(path)) for path in registry.listed("PROVIDERS")), *FAKES]
READY = [provider for provider in ALL if provider.capabilities().ready]
ASR = [provider for provider in READY if isinstance(provider, AsrProvider)]
MT = [provider for provider in READY if isinstance(provider, MtProvider)]
TTS = [provider for provider in READY if isinstance(provider, TtsProvider)]
SAMPLES = Path(__file__).parents[4] / "shared" / "samples"
SENTENCES = ["The house is big.", "I see the dog.", "Good morning."]


def by_id(provider: Provider) -> str:
    return provider.id


def stop() -> None:
    raise Cancelled


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ "Good morning everyone" and four seconds of silence, 16 kHz mono."""
    path = tmp_path_factory.mktemp("talk") / "talk.flac"
    speech = "flite=text='A good translation keeps the meaning of the words.':voice=rms"
    argv = ["ffmpeg", "-nostdin", "-v", "error", "-f", "lavfi", "-i", speech, "-af", "apad=pad_dur=4"]
    subprocess.run([*argv, "-ar", "16000", "-ac", "1", path], check=True)
    return path


class TestEvery:
    """Providers of any kind."""

    def test_the_local_defaults_are_ready_here(self) -> None:
        assert {"pocketsphinx", "apertium", "espeak"} <= {provider.id for provider in READY}

    @pytest.mark.parametrize("provider", ALL, ids=by_id)
    def test_it_says_who_it_is_and_what_it_can(self, provider: Provider) -> None:
        can = provider.capabilities()
        began = time.monotonic()
        assert provider.capabilities() == can
        assert time.monotonic() - began < 0.1
        assert provider.id.isidentifier() and provider.version and provider.fingerprint()
        if not can.ready:
            assert len(can.message) > 20, "says how to get what is missing"
            return
        codes = can.languages | {code for pair in can.pairs for code in pair}
        assert codes
        assert all(languages.normalise(code) == code for code in codes)
        assert can.batch_size >= 1
        assert can.speed[0] <= 1.0 <= can.speed[1]
        assert len({voice.id for voice in can.voices}) == len(can.voices)

    @pytest.mark.parametrize("provider", [p for p in ALL if not p.capabilities().ready], ids=by_id)
    def test_one_that_is_not_ready_says_so_when_it_is_asked(
        self, provider: Provider, talk: Path, tmp_path: Path
    ) -> None:
        with pytest.raises(PipelineError) as refusal:
            if isinstance(provider, AsrProvider):
                provider.transcribe(talk, start=0, end=1, language="en")
            elif isinstance(provider, MtProvider):
                provider.translate(["Hello."], source="en", target="es")
            elif isinstance(provider, TtsProvider):
                provider.synthesize([Line("Hola.")], language="es", voice="", out=tmp_path)
        assert isinstance(refusal.value, ProviderNotReady | UnsupportedLanguage)


@pytest.mark.parametrize("provider", ASR, ids=by_id)
class TestAsr:
    """Recognition."""

    def test_words_lie_in_order_within_the_window(self, provider: AsrProvider, talk: Path) -> None:
        heard = provider.transcribe(talk, start=0.0, end=4.0, language="en")
        assert heard.language == "en"
        assert heard.words
        at = 0.0
        for word in heard.words:
            assert at - 0.02 <= word.start < word.end <= 4.05
            assert 0.0 <= word.confidence <= 1.0
            assert word.text.strip() == word.text != ""
            at = word.start

    def test_an_unknown_language_is_refused(self, provider: AsrProvider, talk: Path) -> None:
        with pytest.raises((UnsupportedLanguage, ProviderNotReady)):
            provider.transcribe(talk, start=0.0, end=1.0, language="tlh")

    def test_it_stops_when_asked(self, provider: AsrProvider, talk: Path) -> None:
        with pytest.raises(Cancelled):
            provider.transcribe(talk, start=0.0, end=4.0, language="en", check=stop)


@pytest.mark.parametrize("provider", MT, ids=by_id)
class TestMt:
    """Translation."""

    def test_as_many_come_back_as_went_in_and_in_order(self, provider: MtProvider) -> None:
        one_by_one = [provider.translate([text], source="en", target="es")[0].text for text in SENTENCES]
        batch = [found.text for found in provider.translate(SENTENCES * 40, source="en", target="es")]
        assert batch == one_by_one * 40
        assert len(set(one_by_one)) == len(SENTENCES)
        assert all(made != text for made, text in zip(one_by_one, SENTENCES, strict=True))

    def test_nothing_gives_nothing(self, provider: MtProvider) -> None:
        assert provider.translate([], source="en", target="es") == ()
        assert [found.text for found in provider.translate(["", "  "], source="en", target="es")] == ["", "  "]

    @pytest.mark.parametrize(
        "text",
        [
            "Two\nlines.", "A [note] in brackets.", "Use ^caret$ and @at, a/b and {braces}.",
            "<b>Bold</b> & more < less.",
            "5 > 3 && 2 < 4", "*Star* ~tilde~ #hash %percent\\back", "Emoji 🎬 and 映画.", "word " * 2000, "a", "...",
            "<p n=\"0\">sly</p>", "&amp; &lt;p&gt;", "Mr. Xyzzyqux went home.",
        ],
    )  # fmt: skip
    def test_odd_texts_leave_no_marks(self, provider: MtProvider, text: str) -> None:
        before, made, after = provider.translate(["The house.", text, "The dog."], source="en", target="es")
        plain = [found.text for found in provider.translate(["The house.", "The dog."], source="en", target="es")]
        assert [before.text, after.text] == plain
        assert made.text.strip()
        for mark in ("<p", "&lt;", "&amp;"):
            assert (mark in made.text) <= (mark in text), made.text
        assert not any(word.startswith(("*", "@", "#")) and word[1:].isalpha() and word not in text
                       for word in made.text.split()), made.text  # fmt: skip

    def test_an_unknown_pair_is_refused(self, provider: MtProvider) -> None:
        with pytest.raises((UnsupportedLanguage, ProviderNotReady), match=r"\w+"):
            provider.translate(["Hello."], source="en", target="tlh")

    def test_it_stops_when_asked(self, provider: MtProvider) -> None:
        with pytest.raises(Cancelled):
            provider.translate(SENTENCES * 50, source="en", target="es", check=stop)


@pytest.mark.parametrize("provider", TTS, ids=by_id)
class TestTts:
    """Speech."""

    def test_a_file_a_line_in_order(self, provider: TtsProvider, tmp_path: Path) -> None:
        lines = [Line("Hola."), Line("Buenos días a todos los que nos escuchan hoy."), Line("Adiós, amigos.")]
        made = provider.synthesize(lines, language="es", voice="", out=tmp_path)
        lengths = [len(samples) / rate for samples, rate in map(read_wav, made)]
        assert len(made) == len(lines)
        assert all(path.parent == tmp_path for path in made)
        assert lengths[1] > lengths[2] > lengths[0] > 0.1

    def test_faster_is_shorter(self, provider: TtsProvider, tmp_path: Path) -> None:
        text = "Una frase bastante larga para medir la velocidad de la voz."
        fast = min(1.4, provider.capabilities().speed[1])
        for folder in ("a", "b"):
            (tmp_path / folder).mkdir()
        (slow,) = provider.synthesize([Line(text)], language="es", voice="", out=tmp_path / "a")
        (quick,) = provider.synthesize([Line(text, fast)], language="es", voice="", out=tmp_path / "b")
        ratio = len(read_wav(slow)[0]) / len(read_wav(quick)[0])
        assert ratio == pytest.approx(fast, rel=0.15)

    @pytest.mark.parametrize(
        "text", ["", "   ", "...", "🎬", "a" * 3000, "<speak>hola</speak>", "--help", "línea\ndos"]
    )
    def test_odd_lines_give_a_file_each(self, provider: TtsProvider, tmp_path: Path, text: str) -> None:
        made = provider.synthesize([Line("Uno."), Line(text), Line("Dos.")], language="es", voice="", out=tmp_path)
        assert len(made) == 3
        assert all(read_wav(path)[1] >= 8000 for path in made)

    def test_no_lines_no_files(self, provider: TtsProvider, tmp_path: Path) -> None:
        assert provider.synthesize([], language="es", voice="", out=tmp_path) == ()

    def test_an_unknown_language_is_refused(self, provider: TtsProvider, tmp_path: Path) -> None:
        with pytest.raises((UnsupportedLanguage, ProviderNotReady)):
            provider.synthesize([Line("nuqneH")], language="tlh", voice="", out=tmp_path)

    def test_it_stops_when_asked(self, provider: TtsProvider, tmp_path: Path) -> None:
        with pytest.raises(Cancelled):
            provider.synthesize([Line("Hola.")] * 20, language="es", voice="", out=tmp_path, check=stop)


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the recordings are not beside the project")
@pytest.mark.parametrize(
    ("name", "words", "worst"),
    [
        ("jfk.flac", "and so my fellow americans ask not what your country can do for you "
                     "ask what you can do for your country", 0.6),
        ("sense-0870.wav", "", 0.5),
        ("sense-0930.wav", "", 0.5),
    ],
)  # fmt: skip
def test_real_recordings_are_recognised(tmp_path: Path, name: str, words: str, worst: float) -> None:
    speech = tmp_path / "speech.flac"
    argv = ["ffmpeg", "-nostdin", "-v", "error", "-i", SAMPLES / name, "-ar", "16000", "-ac", "1", speech]
    subprocess.run(argv, check=True)
    spoken = words or (SAMPLES / name).with_suffix(".txt").read_text()
    provider = next(provider for provider in ASR if provider.id == "pocketsphinx")
    heard = provider.transcribe(speech, start=0.0, end=11.0, language="en")
    rate = word_error_rate(spoken, " ".join(word.text for word in heard.words))
    print(name, round(rate, 3))
    assert rate <= worst
