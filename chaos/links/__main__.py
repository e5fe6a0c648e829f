"""`python -m chaos.links URL`: the guard of faults on a proxy that knows no leases (`guard.py`)."""

from __future__ import annotations

import sys

from chaos.links.guard import keep_guard

raise SystemExit(keep_guard(sys.argv[1]))
