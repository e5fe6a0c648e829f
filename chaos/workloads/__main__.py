"""`python -m chaos.workloads SOCKET`: the load driver, started by the conductor."""

from __future__ import annotations

import contextlib
import logging
import os
import sys

import anyio

from chaos.workloads.session import run_driver

__all__ = ["main"]

_NICE = -5
"""Where it is allowed, the driver goes before what it measures: a starved driver sees late what was in time."""


def main(argv: list[str]) -> int:
    """Run the driver; 2 for wrong arguments, 1 when it could not do its work."""
    if len(argv) != 1:
        print("usage: python -m chaos.workloads SOCKET (the conductor's unix socket)", file=sys.stderr)
        return 2
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s", stream=sys.stderr)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # one line per request otherwise
    with contextlib.suppress(OSError):  # only root may
        os.nice(_NICE)
    try:
        return anyio.run(run_driver, argv[0])
    except OSError as error:
        print(f"the conductor's socket {argv[0]} cannot be reached: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
