"""How late this process runs. A request waits that long before it is seen here, and a call that is made before it leaves.

A starved process would otherwise promise time that is over already: its clock begins when it is let run.
"""

from __future__ import annotations

import asyncio
import time

__all__ = ["recent_ms", "watch"]

_TICK_S = 0.02
_KEPT = 0.9  # of the worst lag, from tick to tick: half is forgotten within 140 ms


class _Lag:
    """The worst lag of late, and when the next tick is due (0: nobody watches)."""

    worst_s = 0.0
    due_s = 0.0


async def watch() -> None:
    """Measure until cancelled."""
    try:
        while True:
            _Lag.due_s = time.monotonic() + _TICK_S
            await asyncio.sleep(_TICK_S)
            _Lag.worst_s = max(time.monotonic() - _Lag.due_s, _KEPT * _Lag.worst_s)
    finally:
        _Lag.worst_s = _Lag.due_s = 0.0


def recent_ms() -> float:
    """The worst lag of late in milliseconds, that of an overdue tick included; 0 when nobody watches."""
    overdue_s = time.monotonic() - _Lag.due_s if _Lag.due_s else 0.0
    return 1000 * max(_Lag.worst_s, overdue_s)
