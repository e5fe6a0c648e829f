"""Lag of the driver's own loop: a tick every 10 ms, and a record of each interval in which none came."""

from __future__ import annotations

import time
from collections.abc import Callable

import anyio

from chaos.model.event import LoopLagged

__all__ = ["watch_lag"]

_TICK_S = 0.01


async def watch_lag(limit_ms: float, emit: Callable[[LoopLagged], None]) -> None:
    """Emit a LoopLagged for each gap between two ticks of more than `limit_ms` beyond the tick, until cancelled.

    A stopped process (SIGSTOP), a starved one and a blocked loop all look the same, and are: the driver did not see what happened.
    """
    limit_ns = int((limit_ms + _TICK_S * 1000) * 1e6)
    last_ns = time.monotonic_ns()
    while True:
        await anyio.sleep(_TICK_S)
        now_ns = time.monotonic_ns()
        if now_ns - last_ns > limit_ns:
            emit(LoopLagged(t_ns=now_ns, start_ns=last_ns, end_ns=now_ns))
        last_ns = now_ns
