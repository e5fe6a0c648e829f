"""Doors of plain workloads: opened for what a plan's workloads need, at the addresses of their links, closed with the run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import anyio

from chaos.errors import NotReadyError
from chaos.model.plain import NatsMessage, PlainOperation
from chaos.workloads.plain_nats import PlainNats, open_plain_nats
from chaos.workloads.protocol import DriverPlan
from chaos.workloads.sockets import Dialer, dial_of
from chaos.workloads.sql_door import SqlDoor, open_sql

__all__ = ["PlainDoors", "open_plain"]

# HTTP: shorter than servers keep an idle connection, because reusing one at the moment it is closed would look like a failure.
_IDLE_S = {"http": 1.0, "tcp": 10.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainDoors:
    """Connections to callees: `dialers` by kind and callee, the others by callee."""

    dialers: Mapping[tuple[str, str], Dialer] = field(default_factory=dict)
    sql: Mapping[str, SqlDoor] = field(default_factory=dict)
    nats: Mapping[str, PlainNats] = field(default_factory=dict)


@asynccontextmanager
async def open_plain(plan: DriverPlan, within_s: float) -> AsyncIterator[PlainDoors]:
    """The doors of the plan's plain workloads. Raises NotReadyError for a callee without an address, and for NATS that is not there."""
    dialers: dict[tuple[str, str], Dialer] = {}
    sql: dict[str, SqlDoor] = {}
    nats: dict[str, PlainNats] = {}
    async with AsyncExitStack() as stack:
        for kind, to in _wanted(plan):
            url = plan.endpoints.links.get(to)
            if url is None:
                raise NotReadyError(f"{kind} operations call {to}, but the plan names no address for driver>{to}")
            if kind == "sql":
                sql[to] = await stack.enter_async_context(open_sql(url))
            elif kind == "nats":
                nats[to] = await _open_nats(stack, plan, url, to, within_s)
            else:
                dialers[kind, to] = dial_of(url, idle_s=_IDLE_S[kind])
                stack.callback(dialers[kind, to].close)
        yield PlainDoors(dialers=dialers, sql=sql, nats=nats)


async def _open_nats(stack: AsyncExitStack, plan: DriverPlan, url: str, to: str, within_s: float) -> PlainNats:
    completions = [one.does.completion for one in _operations(plan, to) if isinstance(one.does, NatsMessage)]
    try:
        with anyio.fail_after(within_s):
            door = open_plain_nats(url, to, [one for one in completions if one is not None])
            return await stack.enter_async_context(door)
    except Exception as error:  # whatever the client raises; its text may hold the URL, and that the password
        what = f"driver>{to} could not be reached within {within_s:.1f} s ({type(error).__name__})"
        raise NotReadyError(what) from error


def _wanted(plan: DriverPlan) -> dict[tuple[str, str], None]:
    """Pairs of kind and callee, each once."""
    return {(one.spec.kind, one.spec.plain.to): None for one in plan.workloads if one.spec.plain is not None}


def _operations(plan: DriverPlan, to: str) -> Iterator[PlainOperation]:
    for workload in plan.workloads:
        if workload.spec.plain is not None and workload.spec.plain.to == to:
            yield from workload.spec.plain.operations.values()
