"""Keeps the proxy's lease alive from the conductor's loop: a wedged loop stops renewing, and the proxy heals by itself."""

from __future__ import annotations

from collections.abc import Callable

import anyio

from chaos.engine.clock import now_ns
from chaos.errors import ProxyError
from chaos.links import LinkControl
from chaos.model.event import AnyEvent, EvidenceLost

__all__ = ["keep_renewing"]


async def keep_renewing(
    control: LinkControl,
    ttl_ms: float,
    healed: anyio.Event,
    emit: Callable[[AnyEvent], None],
    give_up: Callable[[str], None],
) -> None:
    """Renew every fifth of the TTL until there is nothing left to renew it for, or until cancelled.

    After the verified heal the lease may run out: its hard end comes soon after. One that is gone before is recorded, and the run given
    up: its faults ended early.
    """
    while not healed.is_set():
        try:
            await control.renew()
        except ProxyError as error:
            if not healed.is_set():
                emit(EvidenceLost(t_ns=now_ns(), what=f"the proxy's lease: {error}", count=1))
                give_up(f"the faults' lease could not be kept: {error}")
            return
        with anyio.move_on_after(ttl_ms / 5000):
            await healed.wait()
