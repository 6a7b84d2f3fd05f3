"""Errors of the workshop.

    PipelineError
    ├── Refused                 the input or the request is at fault; never tried again
    │   ├── MediaRefused            not media, no audio, cut short, a bomb, a disguise
    │   └── UnsupportedLanguage     no provider speaks this language or pair
    ├── Cancelled               the job was cancelled while the stage ran
    ├── LeaseLost               another worker owns this run now; write nothing
    ├── Unavailable             may pass; tried again later
    │   ├── ProviderUnavailable     408, 425, 429, 5xx, timeouts, broken connections
    │   └── StorageUnavailable      storage did not answer or answered with an error
    ├── ProviderNotReady        a model or a program is missing; an operator installs it
    ├── ProviderFailed          the provider answered, and its answer is no use
    ├── ToolFailed              ffmpeg or an engine ended with an error
    │   └── ToolTimedOut            ... or ran past its wall-clock limit
    └── ContractBroken          a stage or a pipeline breaks its own declaration

Each class has a stable ``code``, says whether trying again can help (``retryable``), and for whom its message is
(``audience``: ``user`` or ``operator``). The docstring is the message when none is given.
"""

from __future__ import annotations

from typing import ClassVar, Literal

Audience = Literal["user", "operator"]


class PipelineError(Exception):
    """The media pipeline failed."""

    code: ClassVar[str] = "pipeline_error"
    retryable: ClassVar[bool] = False
    audience: ClassVar[Audience] = "operator"

    def __init__(self, detail: str = "", *, code: str = "", retry_after: float | None = None) -> None:
        """``code`` narrows the class's code for one raise; ``retry_after`` is in seconds."""
        self.detail = detail or (type(self).__doc__ or "").strip()
        self.specific_code = code or type(self).code
        self.retry_after = retry_after
        super().__init__(self.detail)


class Refused(PipelineError):
    """The input cannot be worked on."""

    code = "refused"
    audience = "user"


class MediaRefused(Refused):
    """The file is not media that can be worked on."""

    code = "media_refused"


class UnsupportedLanguage(Refused):
    """No provider on this server can work with this language or pair."""

    code = "unsupported_language"


class Cancelled(PipelineError):
    """The job was cancelled."""

    code = "cancelled"
    audience = "user"


class LeaseLost(PipelineError):
    """Another worker owns this stage run now."""

    code = "lease_lost"


class Unavailable(PipelineError):
    """Something this stage needs did not answer; it is tried again."""

    code = "unavailable"
    retryable = True


class ProviderUnavailable(Unavailable):
    """The provider did not answer; it is tried again."""

    code = "provider_unavailable"


class StorageUnavailable(Unavailable):
    """Storage did not answer; it is tried again."""

    code = "storage_unavailable"


class ProviderNotReady(PipelineError):
    """The provider needs a model or a program that is not installed."""

    code = "provider_not_ready"


class ProviderFailed(PipelineError):
    """The provider's answer could not be used."""

    code = "provider_failed"
    retryable = True


class ToolFailed(PipelineError):
    """A media tool ended with an error."""

    code = "tool_failed"


class ToolTimedOut(ToolFailed):
    """A media tool ran past its time limit."""

    code = "tool_timed_out"
    retryable = True


class ContractBroken(PipelineError):
    """A stage or a pipeline breaks its own declaration."""

    code = "contract_broken"
