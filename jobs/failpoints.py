"""Places where a process can be made to die, to prove that nothing is lost there.

``CRASH_AT=<name>`` kills the process with SIGKILL when it passes that point; ``CRASH_AT=<name>:<n>`` at the n-th pass.
Every commit boundary of the engine has one before and one after, and a test that names it.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from enum import StrEnum


class Failpoint(StrEnum):
    """All of them."""

    SUBMIT_BEFORE_COMMIT = "submit.before_commit"
    SUBMIT_AFTER_COMMIT = "submit.after_commit"
    DISPATCH_AFTER_COMMIT = "dispatch.after_commit"
    DISPATCH_AFTER_ENQUEUE = "dispatch.after_enqueue"
    CLAIM_BEFORE_COMMIT = "claim.before_commit"
    CLAIM_AFTER_COMMIT = "claim.after_commit"
    STAGE_AFTER_RUN = "stage.after_run"
    OUTPUTS_AFTER_STORE = "outputs.after_store"
    SUCCEED_BEFORE_COMMIT = "succeed.before_commit"
    SUCCEED_AFTER_COMMIT = "succeed.after_commit"
    FAIL_BEFORE_COMMIT = "fail.before_commit"
    FAIL_AFTER_COMMIT = "fail.after_commit"
    CANCEL_AFTER_COMMIT = "cancel.after_commit"
    RETRY_AFTER_COMMIT = "retry.after_commit"
    RECONCILE_AFTER_COMMIT = "reconcile.after_commit"


_passed: Counter[str] = Counter()


def failpoint(point: Failpoint) -> None:
    """Die here when the environment says so."""
    wanted, _, nth = os.environ.get("CRASH_AT", "").partition(":")
    if wanted != point:
        return
    _passed[point] += 1
    if _passed[point] == int(nth or 1):
        os.kill(os.getpid(), signal.SIGKILL)
