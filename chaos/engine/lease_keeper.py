"""Keeps the proxy's lease alive from the conductor's loop: a wedged loop stops renewing, and the proxy heals by itself."""

from __future__ import annotations

from collections.abc import Callable

import anyio

from chaos.engine.clock import now_ns
from chaos.errors import ProxyError
from chaos.links import LinkControl
from chaos.model.event import AnyEvent, EvidenceLost

__all__ = ["keep_renewing"]


async def keep_renewing(control: LinkControl, ttl_ms: float, emit: Callable[[AnyEvent], None]) -> None:
    """Renew every fifth of the TTL until cancelled. A lease that is gone is recorded once: its faults ended early."""
    while True:
        try:
            await control.renew()
        except ProxyError as error:
            emit(EvidenceLost(t_ns=now_ns(), what=f"the proxy's lease: {error}", count=1))
            return
        await anyio.sleep(ttl_ms / 5000)
