"""Asks this container's web server whether it is ready; ends with 1 when not. Of the standard library alone."""

from __future__ import annotations

import os
import sys
from urllib.error import URLError
from urllib.request import Request, urlopen

SECONDS = 4


def main() -> int:
    """0 when ``/readyz`` answers 200."""
    host = os.environ.get("ALLOWED_HOSTS", "").split(",")[0].strip().lstrip(".")
    address = f"http://127.0.0.1:{os.environ.get('PORT') or 8000}/readyz"
    request = Request(address, headers={"Host": host if host and host != "*" else "localhost"})
    try:
        with urlopen(request, timeout=SECONDS) as answer:  # noqa: S310  (the address is ours)
            return 0 if answer.status == 200 else 1
    except (URLError, OSError) as error:
        sys.stderr.write(f"{address}: {error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
