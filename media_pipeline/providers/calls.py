"""What stands around every call of a provider: a stopwatch, whose readings go to whoever observes."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from media_pipeline.errors import PipelineError
from media_pipeline.providers.base import Provider

VERBS: Mapping[str, str] = {"asr": "transcribe", "mt": "translate", "tts": "synthesize"}
OK = "ok"


@dataclass(frozen=True, slots=True)
class Call:
    """A call that ended. ``outcome`` is "ok" or the code of the error's class."""

    provider: str
    kind: str
    outcome: str
    seconds: float


Observer = Callable[[Call], None]
_observers: list[Observer] = []


def observe(observer: Observer) -> None:
    """From now on, tell this one of every call in this process. Telling it twice changes nothing."""
    if observer not in _observers:
        _observers.append(observer)


class Watched:
    """A provider that looks and works as the one inside, and whose verb is timed."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._provider, name)
        return self._timed(found) if name == VERBS[self._provider.kind] else found

    def _timed(self, verb: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(verb)
        def call(*args: Any, **kwargs: Any) -> Any:
            started, outcome = time.monotonic(), OK
            try:
                return verb(*args, **kwargs)
            except PipelineError as error:
                outcome = type(error).code
                raise
            except BaseException:
                outcome = "internal_error"
                raise
            finally:
                made = Call(self._provider.id, self._provider.kind, outcome, time.monotonic() - started)
                for observer in _observers:
                    observer(made)

        return call
