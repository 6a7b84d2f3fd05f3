"""The job of RQ, in a module of its own: its fork worker imports it anew for every job."""


def nothing() -> None:
    """Do nothing."""
