"""A real toxiproxy-server 2.12 to compare with, and its command line, where there are such."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

__all__ = ["MISSING", "MISSING_CLI", "find_real_cli", "find_real_server"]

MISSING = (
    "no Toxiproxy 2.12 here: name one in CHAOS_TOXIPROXY_SERVER, or build it with "
    "`go install github.com/Shopify/toxiproxy/v2/cmd/server@v2.12.0`"
)
MISSING_CLI = (
    "no toxiproxy-cli here: name one in CHAOS_TOXIPROXY_CLI, or build it with "
    "`go install github.com/Shopify/toxiproxy/v2/cmd/cli@v2.12.0`"
)


def find_real_server() -> str | None:
    """The server's binary: named by the environment, built by .ci/run, on PATH, or as `go install` leaves it."""
    return _find("server", "CHAOS_TOXIPROXY_SERVER")


def find_real_cli() -> str | None:
    """The same for toxiproxy-cli."""
    return _find("cli", "CHAOS_TOXIPROXY_CLI")


def _find(name: str, variable: str) -> str | None:
    places = [os.environ.get(variable), str(Path(__file__).parents[1] / ".ci" / "bin" / name)]
    places.append(shutil.which(f"toxiproxy-{name}"))
    if shutil.which("go"):
        root = subprocess.run(["go", "env", "GOPATH"], capture_output=True, text=True, check=True).stdout.strip()
        places.append(str(Path(root) / "bin" / name))
    return next((place for place in places if place and Path(place).exists()), None)
