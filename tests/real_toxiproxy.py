"""A real toxiproxy-server 2.12 to compare with, where there is one."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

__all__ = ["MISSING", "find_real_server"]

MISSING = (
    "no Toxiproxy 2.12 here: name one in CHAOS_TOXIPROXY_SERVER, or build it with "
    "`go install github.com/Shopify/toxiproxy/v2/cmd/server@v2.12.0`"
)


def find_real_server() -> str | None:
    """Its binary: named by the environment, built by .ci/run, on PATH, or as `go install` leaves it."""
    places = [os.environ.get("CHAOS_TOXIPROXY_SERVER"), str(Path(__file__).parents[1] / ".ci" / "bin" / "server")]
    places.append(shutil.which("toxiproxy-server"))
    if shutil.which("go"):
        root = subprocess.run(["go", "env", "GOPATH"], capture_output=True, text=True, check=True).stdout.strip()
        places.append(str(Path(root) / "bin" / "server"))
    return next((place for place in places if place and Path(place).exists()), None)
