"""Nothing that a test starts outlives it."""

from __future__ import annotations

import ctypes
import os
import signal

_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent() -> None:
    """For ``preexec_fn``: the child is killed when this process is gone, however it went."""
    if os.uname().sysname == "Linux":
        _libc.prctl(1, signal.SIGKILL)
