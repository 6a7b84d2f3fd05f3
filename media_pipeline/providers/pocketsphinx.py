"""CMU PocketSphinx: English, offline, its model comes with the wheel."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np

from media_pipeline import languages
from media_pipeline.errors import ProviderFailed, UnsupportedLanguage
from media_pipeline.providers.base import AsrProvider, Capabilities, Check, Transcript, no_check
from media_pipeline.segments import Word
from media_pipeline.tools import pcm

RATE = 16_000
FRAMES_A_SECOND = 100
LONGEST_UTTERANCE = 20.0
"""Seconds given to the decoder in one go: it holds the interpreter's lock for about an eighth of that, and neither the
lease nor a cancel may wait longer. Windows are shorter, unless nobody pauses."""
MOST_HYPOTHESES = 7_000
"""Followed at once in a frame, instead of 30,000: the same words in all of our recordings for a tenth to a fifth less
time; at 3,000 words get lost."""
NO_WORDS = re.compile(r"<.*>|\[.*\]|\+\+.*\+\+")
VARIANT = re.compile(r"\(\d+\)$")


class PocketSphinx(AsrProvider):
    """Recognises one window at a time; the decoder is made once a process (about half a second, 150 MB)."""

    id = "pocketsphinx"
    version = "5.2"

    def __init__(self, config: Any = None) -> None:
        super().__init__(config)
        self._decoder: Any = None

    def capabilities(self) -> Capabilities:
        return Capabilities(languages=frozenset({"en"}))

    def load(self) -> None:
        if self._decoder is None:
            from pocketsphinx import Decoder, get_model_path

            self._decoder = Decoder(
                hmm=get_model_path("en-us/en-us"),
                lm=get_model_path("en-us/en-us.lm.bin"),
                dict=get_model_path("en-us/cmudict-en-us.dict"),
                maxhmmpf=MOST_HYPOTHESES,
                samprate=float(RATE),
                loglevel="FATAL",
            )

    def transcribe(
        self, audio: Path, *, start: float, end: float, language: str, check: Check = no_check
    ) -> Transcript:
        if language != "auto" and languages.primary(language) != "en":
            raise UnsupportedLanguage(f"PocketSphinx hears English, not {languages.english_name(language)}.")
        self.load()
        words: list[Word] = []
        pieces = max(1, math.ceil((end - start) / LONGEST_UTTERANCE))
        length = (end - start) / pieces
        for first in (start + index * length for index in range(pieces)):
            check()
            words += self._utterance(pcm.read(audio, rate=RATE, start=first, end=first + length, check=check), first)
        check()
        return Transcript(words=tuple(words), language="en")

    def _utterance(self, samples: pcm.Samples, start: float) -> list[Word]:
        """The words of one utterance, given whole: only then are its means its own (cepstral mean normalisation).

        Fed in pieces, the decoder begins with the means of whatever it heard before: other results on every worker,
        and on a new voice far worse ones.
        """
        if not len(samples):
            return []
        self._decoder.start_utt()
        try:
            self._decoder.process_raw(
                (samples * 32768).clip(-32768, 32767).astype(np.int16).tobytes(), no_search=False, full_utt=True
            )
        finally:
            self._decoder.end_utt()
        return self._words(start)

    def _words(self, start: float) -> list[Word]:
        words = []
        logmath = self._decoder.get_logmath()
        try:
            for seg in self._decoder.seg() or ():
                if NO_WORDS.fullmatch(seg.word):
                    continue
                words.append(
                    Word(
                        start=start + seg.start_frame / FRAMES_A_SECOND,
                        end=start + (seg.end_frame + 1) / FRAMES_A_SECOND,
                        text=VARIANT.sub("", seg.word),
                        confidence=min(1.0, max(0.0, math.exp(min(0.0, logmath.log_to_ln(seg.prob))))),
                    )
                )
        except RuntimeError as error:
            raise ProviderFailed(f"PocketSphinx gave no result: {error}") from error
        return words
