"""The proxy of a run: its own, started and ended with it, or one that runs already and outlives it.

The lease is on disk before anything can be injected. On a proxy that outlives the run, links that are there are used as they are, and only
those that the run made are removed.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import anyio

from chaos.engine.clock import now_ns
from chaos.engine.lease_keeper import keep_renewing
from chaos.engine.leases import StoredLease, keep_lease
from chaos.errors import NotReadyError, ProxyError
from chaos.links import LinkControl, connect_embedded
from chaos.model.event import AnyEvent, LinkUp, Note
from chaos.model.link import Link
from chaos.model.plan import Plan
from chaos.system.child import Child
from chaos.system.children import Children
from chaos.system.ports import Address, reserve_port
from chaos.system.services import HttpReady, ServiceSpec, start_service

__all__ = ["HARD_END_SLACK_MS", "LEASE_TTL_MS", "create_links", "open_proxy"]

LEASE_TTL_MS = 5000.0
HARD_END_SLACK_MS = 5000.0
_BEFORE_BASELINE_MS = 120_000.0  # bring-up may take this long before the lease that locks the proxy is over
_REMOVE_WITHIN_S = 10.0
_ANY_PORT = "127.0.0.1:0"

Emit = Callable[[AnyEvent], None]


@asynccontextmanager
async def open_proxy(
    plan: Plan,
    children: Children,
    *,
    run_id: str,
    logs: Path,
    healed: anyio.Event,
    started: Callable[[Child], None],
    emit: Emit,
    give_up: Callable[[str], None],
) -> AsyncIterator[LinkControl]:
    """Take the lock of the plan's proxy, or start one, and keep its lease alive until `healed`. Raises NotReadyError, ProxyError."""
    if plan.proxy:
        async with _leased(plan, plan.proxy, run_id, healed, emit, give_up) as control:
            yield control
        return
    with reserve_port() as hold:
        argv = ("-P", "-m", "chaos.proxy", "-host", hold.address.host, "-port", str(hold.address.port))
        spec = ServiceSpec(name="proxy", argv=(sys.executable, *argv), ready=HttpReady(path="/version"))
        started(await start_service(children, spec, hold, {}, logs / "proxy.log"))
        async with _leased(plan, f"http://{hold.address}", run_id, healed, emit, give_up) as control:
            yield control


@asynccontextmanager
async def _leased(
    plan: Plan, url: str, run_id: str, healed: anyio.Event, emit: Emit, give_up: Callable[[str], None]
) -> AsyncIterator[LinkControl]:
    lease = StoredLease.of_this_process(run_id, url, tuple(link.name for link in plan.links))
    with keep_lease(lease):
        async with connect_embedded(url) as control:
            await control.acquire(holder=run_id, ttl_ms=LEASE_TTL_MS, hard_end_ms=_longest_ms(plan))
            async with anyio.create_task_group() as group:
                group.start_soon(keep_renewing, control, LEASE_TTL_MS, healed, emit, give_up)
                yield control
                group.cancel_scope.cancel()


def _longest_ms(plan: Plan) -> float:
    timeline = plan.scenario.timeline
    return _BEFORE_BASELINE_MS + timeline.baseline.within_ms + timeline.end_ms + HARD_END_SLACK_MS


@asynccontextmanager
async def create_links(
    control: LinkControl, plan: Plan, upstreams: Mapping[str, Address], emit: Emit
) -> AsyncIterator[dict[str, str]]:
    """A listener for every link, by name. Raises NotReadyError for one that cannot be had."""
    there = {one.name: one for one in await control.status()} if plan.proxy else {}
    listeners: dict[str, str] = {}
    made: list[str] = []
    try:
        for link in plan.links:
            upstream = link.upstream or str(_upstream(upstreams, link.callee, link.name))
            known = there.get(link.name)
            if known is None:
                made.append(link.name)
                listeners[link.name] = await _create(control, link, upstream)
            else:
                _check_same(link, upstream, known.upstream, known.protocol or "tcp", plan.proxy)
                listeners[link.name] = known.listen
            emit(LinkUp(t_ns=now_ns(), link=link.name, listen=listeners[link.name], upstream=upstream))
        yield listeners
    finally:
        if plan.proxy:
            await _remove(control, made, emit)


async def _create(control: LinkControl, link: Link, upstream: str) -> str:
    try:
        return await control.create(link, upstream=upstream, listen=link.listen or _ANY_PORT)
    except ProxyError as error:
        where = f" at {link.listen}: free that address, or leave `listen` out of the link map" if link.listen else ""
        raise NotReadyError(f"link {link.name} has no listener{where} ({error})") from error


def _check_same(link: Link, upstream: str, known: str, protocol: str, url: str) -> None:
    """A link that is there must be the one that is meant: its callers use it, so it is not changed."""
    if known != upstream:
        raise NotReadyError(
            f"the proxy at {url} has a link {link.name} already, which leads to {known} instead of {upstream}: "
            "correct its upstream in the scenario or its map, or end that link"
        )
    if protocol != link.protocol.value:
        raise NotReadyError(
            f"the proxy at {url} frames {link.name} as {protocol}, the scenario as {link.protocol.value}: let both say the same"
        )


async def _remove(control: LinkControl, links: list[str], emit: Emit) -> None:
    with anyio.move_on_after(_REMOVE_WITHIN_S, shield=True):
        for name in links:
            try:
                await control.remove(name)
            except ProxyError as error:
                emit(Note(t_ns=now_ns(), text=f"link {name} could not be removed from the proxy: {error}"))


def _upstream(upstreams: Mapping[str, Address], callee: str, link: str) -> Address:
    if callee not in upstreams:
        raise NotReadyError(
            f"link {link} leads to {callee}, which this system does not have; it has {', '.join(upstreams)}"
        )
    return upstreams[callee]
