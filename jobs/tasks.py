"""RQ's entry point. A message is only (stage run, fence)."""

from __future__ import annotations

from jobs.execution.runner import run_chain


def run_stage(run_id: int, fence: int) -> None:
    """Run the stage that the message names, and then what comes next for this worker."""
    run_chain(run_id, fence)
