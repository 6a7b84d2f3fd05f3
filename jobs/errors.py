"""Errors of the office.

JobError
├── JobInvalid                  the request cannot be carried out as it stands (422)
│   ├── UnknownKind
│   ├── UnknownLanguage
│   ├── UnsupportedPair             the languages are known, and no provider does the pair
│   ├── ParamsInvalid
│   ├── AssetUnfit                  missing, not ready, or of a kind that the pipeline does not take
│   └── UnknownStage                resume_from names no stage, or one whose inputs are missing
├── JobConflict                 the job's state forbids it (409)
│   ├── NotRetryable
│   └── AlreadyEnded
└── StaleWrite                  the fence moved on: another worker owns the run; nothing was written
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from accounts.errors import FieldError


class JobError(Exception):
    """The job could not be worked on."""

    code: ClassVar[str] = "job_error"
    retryable: ClassVar[bool] = False
    audience: ClassVar[Literal["user", "operator"]] = "user"

    def __init__(self, detail: str = "", errors: Sequence[FieldError] = ()) -> None:
        self.detail = detail or (type(self).__doc__ or "").strip()
        self.errors = tuple(errors)
        super().__init__(self.detail)


class JobInvalid(JobError):
    """The request cannot be carried out as it stands."""

    code = "invalid"


class UnknownKind(JobInvalid):
    """There is no pipeline of this kind."""

    code = "unknown_kind"


class UnknownLanguage(JobInvalid):
    """This is not a language that Dragoman knows."""

    code = "unknown_language"


class UnsupportedPair(JobInvalid):
    """No provider on this server does this pair of languages."""

    code = "unsupported_pair"


class ParamsInvalid(JobInvalid):
    """The parameters do not fit the pipeline."""

    code = "invalid_params"


class AssetUnfit(JobInvalid):
    """The asset cannot be worked on by this pipeline."""

    code = "unfit_asset"


class UnknownStage(JobInvalid):
    """The job cannot be resumed from this stage."""

    code = "unknown_stage"


class JobConflict(JobError):
    """The job's state does not allow this."""

    code = "conflict"


class NotRetryable(JobConflict):
    """Only jobs that have ended can be retried."""

    code = "not_retryable"


class AlreadyEnded(JobConflict):
    """The job has ended already."""

    code = "already_ended"


class StaleWrite(JobError):
    """Another worker owns this stage run now."""

    code = "stale_write"
    audience = "operator"
