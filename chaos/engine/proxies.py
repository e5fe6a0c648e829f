"""The proxy of a run: its own, started and ended with it, or one that runs already and outlives it.

The lease is on disk before anything can be injected. On a proxy that outlives the run, links that are there are used as they are, and only
those that the run made are removed.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import anyio

from chaos.engine.clock import now_ns
from chaos.engine.lease_keeper import keep_renewing
from chaos.engine.leases import StoredLease, keep_lease
from chaos.errors import NotReadyError, ProxyError, UsageError
from chaos.links import LinkControl, connect_chained, connect_embedded, is_ours
from chaos.links.toxiproxy_limits import why_not_fault
from chaos.model.event import AnyEvent, LinkUp, Note
from chaos.model.link import Link
from chaos.model.plan import Plan
from chaos.model.reading import is_loopback
from chaos.system.child import Child
from chaos.system.children import Children
from chaos.system.ports import Address, reserve_port
from chaos.system.services import HttpReady, ServiceSpec, start_service

__all__ = ["HARD_END_SLACK_MS", "LEASE_TTL_MS", "check_proxy", "create_links", "open_proxy"]

LEASE_TTL_MS = 5000.0
HARD_END_SLACK_MS = 5000.0
_BEFORE_BASELINE_MS = 120_000.0  # bring-up may take this long before the lease that locks the proxy is over
_REMOVE_WITHIN_S = 10.0
_ANY_PORT = "127.0.0.1:0"

Emit = Callable[[AnyEvent], None]


async def check_proxy(plan: Plan) -> None:
    """Refuse at plan time what the plan's proxy cannot do, naming each fault and its link. Nothing is changed.

    Raises UsageError for that, NotReadyError where no proxy answers.
    """
    if not plan.proxy:
        return
    if "://" in plan.proxy:
        host = urlsplit(plan.proxy).hostname or ""
        if not is_loopback(host) and host not in plan.scenario.allow_hosts:
            raise UsageError(
                f"--proxy leads beyond this machine: if you mean it, add allow_hosts: [{host}] to the scenario"
            )
        try:
            if await is_ours(plan.proxy):
                return
            if not is_loopback(host):
                raise UsageError(
                    f"the Toxiproxy server at {plan.proxy} listens for its links on its own machine, where no recorder of ours can "
                    "reach them: run the drill there"
                )
        except ProxyError as error:
            raise NotReadyError(
                f"no fault proxy answers at {plan.proxy}: start one with `chaos-drill attach`, or leave --proxy out ({error})"
            ) from error
    refused = [
        f"{fault.name} on {', '.join(fault.links)}: {reason}"
        for fault in plan.faults
        if (reason := why_not_fault(fault))
    ]
    if refused:
        raise UsageError(
            f"a Toxiproxy server cannot do this drill: {'; '.join(refused)}; "
            "leave --proxy out, or give the URL of a `chaos-drill proxy`"
        )


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
    """Take the lock of the plan's proxy, or start one, and keep its lease alive until `healed`.

    A real Toxiproxy gets a recorder of ours in front of it. Raises NotReadyError, ProxyError.
    """
    keep = _Keeping(plan=plan, run_id=run_id, healed=healed, emit=emit, give_up=give_up)
    async with AsyncExitStack() as stack:
        toxiproxy = ""
        if plan.proxy and "://" not in plan.proxy:
            spec = ServiceSpec(name="toxiproxy", argv=(plan.proxy,), ready=HttpReady(path="/version"))
            toxiproxy = await stack.enter_async_context(_started(spec, children, logs, started))
        elif plan.proxy and await is_ours(plan.proxy):
            yield await stack.enter_async_context(keep.leased(plan.proxy))
            return
        elif plan.proxy:
            toxiproxy = plan.proxy
        spec = ServiceSpec(
            name="proxy", argv=(sys.executable, "-P", "-m", "chaos.proxy"), ready=HttpReady(path="/version")
        )
        own = await stack.enter_async_context(_started(spec, children, logs, started))
        yield await stack.enter_async_context(keep.leased(own, toxiproxy))


@asynccontextmanager
async def _started(
    spec: ServiceSpec, children: Children, logs: Path, started: Callable[[Child], None]
) -> AsyncIterator[str]:
    """A proxy as a child of the run on a free port of loopback; both kinds know the same flags. Yields its API's URL."""
    with reserve_port() as hold:
        argv = (*spec.argv, "-host", hold.address.host, "-port", str(hold.address.port))
        child = await start_service(children, dataclasses.replace(spec, argv=argv), hold, {}, logs / f"{spec.name}.log")
        started(child)
        yield f"http://{hold.address}"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Keeping:
    """What keeps a run's right to its faults."""

    plan: Plan
    run_id: str
    healed: anyio.Event
    emit: Emit
    give_up: Callable[[str], None]

    @asynccontextmanager
    async def leased(self, url: str, toxiproxy: str = "") -> AsyncIterator[LinkControl]:
        """Control the proxy, its lease written down before it is taken and kept alive until healed."""
        names = tuple(link.name for link in self.plan.links)
        lease = StoredLease.of_this_process(self.run_id, url, names, toxiproxy)
        with keep_lease(lease):
            async with self._connected(url, toxiproxy) as control:
                await control.acquire(holder=self.run_id, ttl_ms=LEASE_TTL_MS, hard_end_ms=_longest_ms(self.plan))
                async with anyio.create_task_group() as group:
                    group.start_soon(keep_renewing, control, LEASE_TTL_MS, self.healed, self.emit, self.give_up)
                    yield control
                    group.cancel_scope.cancel()

    def _connected(self, url: str, toxiproxy: str) -> AbstractAsyncContextManager[LinkControl]:
        if not toxiproxy:
            return connect_embedded(url)
        return connect_chained(url, toxiproxy, holder=self.run_id, note=self._note)

    def _note(self, text: str) -> None:
        self.emit(Note(t_ns=now_ns(), text=text))


def _longest_ms(plan: Plan) -> float:
    timeline = plan.scenario.timeline
    return _BEFORE_BASELINE_MS + timeline.baseline.within_ms + timeline.end_ms + HARD_END_SLACK_MS


@asynccontextmanager
async def create_links(
    control: LinkControl, plan: Plan, upstreams: Mapping[str, Address], emit: Emit
) -> AsyncIterator[dict[str, str]]:
    """A listener for every link, by name. Raises NotReadyError for one that cannot be had."""
    there = {one.name: one for one in await control.status()} if _outlives(plan) else {}
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
        if _outlives(plan):
            await _remove(control, made, emit)


def _outlives(plan: Plan) -> bool:
    """Whether the proxy, or the server behind the recorder, was there before the run."""
    return "://" in plan.proxy


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
