"""Doors of plain workloads: opened for what a plan's workloads need, at the addresses of their links, closed with the run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from chaos.errors import NotReadyError
from chaos.workloads.protocol import DriverPlan
from chaos.workloads.sockets import Dialer, dial_of

__all__ = ["PlainDoors", "open_plain"]

# HTTP: shorter than servers keep an idle connection, because reusing one at the moment it is closed would look like a failure.
_IDLE_S = {"http": 1.0, "tcp": 10.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainDoors:
    """Connections to callees: `dialers` by kind and callee."""

    dialers: Mapping[tuple[str, str], Dialer] = field(default_factory=dict)


@asynccontextmanager
async def open_plain(plan: DriverPlan) -> AsyncIterator[PlainDoors]:
    """The doors of the plan's plain workloads. Raises NotReadyError for a callee that cannot be reached or has no address."""
    dialers: dict[tuple[str, str], Dialer] = {}
    async with AsyncExitStack() as stack:
        for kind, to in _wanted(plan):
            url = plan.endpoints.links.get(to)
            if url is None:
                raise NotReadyError(f"{kind} operations call {to}, but the plan names no address for driver>{to}")
            if kind in _IDLE_S:
                dialers[kind, to] = dial_of(url, idle_s=_IDLE_S[kind])
                stack.callback(dialers[kind, to].close)
        yield PlainDoors(dialers=dialers)


def _wanted(plan: DriverPlan) -> dict[tuple[str, str], None]:
    """Pairs of kind and callee, each once."""
    return {(one.spec.kind, one.spec.plain.to): None for one in plan.workloads if one.spec.plain is not None}
