"""`python -m chaos.proxy`: the same program as `chaos-drill proxy`."""

from __future__ import annotations

import sys

from chaos.proxy.main import main

__all__: list[str] = []

if __name__ == "__main__":
    sys.exit(main())
