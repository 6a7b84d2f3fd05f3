"""Chooses a provider among those that can do the work, and remembers which one did what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from media_pipeline.errors import ContractBroken, ProviderNotReady, UnsupportedLanguage
from media_pipeline.providers.base import AsrProvider, Capabilities, MtProvider, Provider, ProviderKind, TtsProvider
from media_pipeline.providers.calls import Watched


@dataclass(frozen=True, slots=True)
class ProviderState:
    """A provider as API and pages show it."""

    id: str
    kind: ProviderKind
    version: str
    capabilities: Capabilities


class ProviderRouter:
    """Providers in order of preference; ``wishes`` maps a kind to the id that the job asked for."""

    def __init__(self, providers: Sequence[Provider], wishes: Mapping[str, str] | None = None) -> None:
        self._providers = tuple(providers)
        self._wishes = dict(wishes or {})

    def wishing(self, wishes: Mapping[str, str]) -> ProviderRouter:
        """The same providers, with another job's wishes."""
        return ProviderRouter(self._providers, wishes)

    def states(self) -> tuple[ProviderState, ...]:
        """All providers, ready or not."""
        return tuple(ProviderState(p.id, p.kind, p.version, p.capabilities()) for p in self._providers)

    def asr(self, language: str) -> AsrProvider:
        """The best one that hears this language ("auto": one that detects it, else one that hears English)."""
        return cast(AsrProvider, self._watched("asr", language=language))

    def mt(self, source: str, target: str) -> MtProvider:
        """The best one that translates this pair."""
        return cast(MtProvider, self._watched("mt", pair=(source, target)))

    def tts(self, language: str) -> TtsProvider:
        """The best one that speaks this language."""
        return cast(TtsProvider, self._watched("tts", language=language))

    def languages(self, kind: ProviderKind) -> frozenset[str]:
        """Languages that ready providers of this kind (asr, tts) can do."""
        return frozenset().union(*(p.capabilities().languages for p in self._of(kind) if p.capabilities().ready))

    def pairs(self) -> frozenset[tuple[str, str]]:
        """Pairs that ready mt providers can translate."""
        return frozenset().union(*(p.capabilities().pairs for p in self._of("mt") if p.capabilities().ready))

    def _of(self, kind: str) -> list[Provider]:
        wish = self._wishes.get(kind)
        found = [p for p in self._providers if p.kind == kind]
        if wish and wish not in {p.id for p in found}:
            raise ContractBroken(f"There is no {kind} provider {wish!r}; there are: {', '.join(p.id for p in found)}.")
        return [p for p in found if p.id == wish] if wish else found

    def _watched(self, kind: str, *, language: str = "", pair: tuple[str, str] | None = None) -> Watched:
        return Watched(self._choose(kind, language=language, pair=pair))

    def _choose(self, kind: str, *, language: str = "", pair: tuple[str, str] | None = None) -> Provider:
        not_ready = []
        for provider in self._of(kind):
            can = provider.capabilities()
            if pair is not None:
                fits = pair in can.pairs
            else:
                fits = language in can.languages or (
                    language == "auto" and (can.detects_language or "en" in can.languages)
                )
            if fits and can.ready:
                return provider
            if fits or not can.ready:
                not_ready.append(can.message)
        wanted = f"{pair[0]} → {pair[1]}" if pair else language
        if self._wishes.get(kind) and not_ready:
            raise ProviderNotReady(" ".join(m for m in not_ready if m))
        raise UnsupportedLanguage(f"No {kind} provider on this server can do {wanted}.")
