"""The rig: everything a run stands on, brought up in order and taken down whatever happens.

scratch and supervisor -> fault proxy -> a listener for every link -> Postgres, NATS and the services -> the load driver.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import anyio

from chaos.engine.clock import now_ns
from chaos.engine.lease_keeper import keep_renewing
from chaos.engine.leases import StoredLease, keep_lease
from chaos.engine.redaction import Redaction
from chaos.engine.standstill import watch_standstill
from chaos.errors import NotReadyError, ProxyError
from chaos.links import LinkControl, connect_embedded
from chaos.model.event import AnyEvent, LinkUp, ProcessExited, ProcessStarted
from chaos.model.plan import Plan
from chaos.system.child import Child, ChildExit, ChildSpec
from chaos.system.children import Children, open_children
from chaos.system.environment import minimal_environment
from chaos.system.local import LocalSystem
from chaos.system.ports import Address, reserve_port
from chaos.system.scratch import make_scratch
from chaos.system.services import HttpReady, ServiceSpec, start_service
from chaos.workloads.control import Control, open_control
from chaos.workloads.protocol import DriverPlan, Endpoints
from chaos.workloads.reference_effects import REFERENCE_NAMESPACE

__all__ = ["HARD_END_SLACK_MS", "LEASE_TTL_MS", "Rig", "bring_up"]

_DRIVER = "driver"
LEASE_TTL_MS = 5000.0
HARD_END_SLACK_MS = 5000.0
_SETUP_WITHIN_S = 30.0
_BEFORE_BASELINE_MS = 120_000.0  # bring-up may take this long before the lease that locks the proxy is over

Emit = Callable[[AnyEvent], None]
GiveUp = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rig:
    """A system that is up behind its links, with a driver that is ready."""

    control: LinkControl
    driver: Control
    system: LocalSystem
    children: Children
    listeners: Mapping[str, str]
    healed: anyio.Event
    """Set once no fault is left: the lease is not renewed any more."""


@asynccontextmanager
async def bring_up(
    plan: Plan, *, run_id: str, logs: Path, redaction: Redaction, emit: Emit, give_up: GiveUp
) -> AsyncIterator[Rig]:
    """Bring the rig up; take it down on every way out. `give_up` hears when a part was lost or stopped from outside.

    Raises NotReadyError naming the part that failed and the log to read, HealError when something of the run stays behind.
    """
    async with _open_children(run_id, logs, emit) as children:
        with LocalSystem(
            children,
            logs,
            namespace=REFERENCE_NAMESPACE,
            defects=plan.defects,
            own=plan.scenario.own,
            progress=lambda child, ms: emit(_started(child, ms)),
        ) as system:
            redaction.add(system.secrets())
            async with anyio.create_task_group() as group:
                group.start_soon(_tell_exits, children, emit, give_up)
                group.start_soon(watch_standstill, partial(_pids, children), emit, give_up, partial(_wake, children))
                healed = anyio.Event()
                async with _open_links(plan, children, run_id, logs, healed, emit, give_up) as control:
                    listeners = await _create_links(control, plan, system.reserve(), emit)
                    await system.start({name: _address(text) for name, text in listeners.items()})
                    async with _open_driver(plan, system, listeners, children, run_id, logs) as driver:
                        emit(_started(children["driver"]))
                        yield Rig(
                            control=control,
                            driver=driver,
                            system=system,
                            children=children,
                            listeners=listeners,
                            healed=healed,
                        )
                group.cancel_scope.cancel()


def _started(child: Child, ready_ms: float = 0.0) -> ProcessStarted:
    log = f"logs/{child.log.name}"
    return ProcessStarted(t_ns=now_ns(), name=child.name, pid=child.pid, log=log, ready_ms=round(ready_ms, 1))


@asynccontextmanager
async def _open_children(run_id: str, logs: Path, emit: Emit) -> AsyncIterator[Children]:
    """The run's scratch directory and supervisor. Exits while they are taken down are told too: they prove that nothing is left."""
    async with AsyncExitStack() as stack:
        children = await stack.enter_async_context(open_children(make_scratch(run_id), logs))
        try:
            yield children
        finally:
            try:
                with anyio.CancelScope(shield=True):
                    await stack.aclose()
            finally:
                for exit_ in children.exits.rest():
                    emit(_exited(exit_))


def _pids(children: Children) -> dict[str, int]:
    """Every process of the run that can be stopped."""
    found = {child.name: child.pid for child in children.living}
    return found if children.supervisor_pid is None else {**found, "supervisor": children.supervisor_pid}


def _wake(children: Children, name: str) -> None:
    """Let a process group go on that somebody stopped; every child, and the supervisor, leads its own."""
    if (pid := _pids(children).get(name)) is not None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGCONT)


async def _tell_exits(children: Children, emit: Emit, give_up: GiveUp) -> None:
    async for exit_ in children.exits:
        if exit_.code is None and not exit_.expected:
            give_up(
                "the process supervisor is gone, and all children with it; see logs/supervisor.log and run it again"
            )
        emit(_exited(exit_))


def _exited(exit_: ChildExit) -> ProcessExited:
    return ProcessExited(
        t_ns=now_ns(), name=exit_.name, code=-1 if exit_.code is None else exit_.code, expected=exit_.expected
    )


@asynccontextmanager
async def _open_links(
    plan: Plan, children: Children, run_id: str, logs: Path, healed: anyio.Event, emit: Emit, give_up: GiveUp
) -> AsyncIterator[LinkControl]:
    """Start the embedded proxy, take its lock, and write the lease to disk before anything can be injected."""
    with reserve_port() as hold:
        spec = ServiceSpec(
            name="proxy",
            argv=(
                sys.executable,
                "-P",
                "-m",
                "chaos.proxy",
                "-host",
                hold.address.host,
                "-port",
                str(hold.address.port),
            ),
            ready=HttpReady(path="/version"),
        )
        emit(_started(await start_service(children, spec, hold, {}, logs / "proxy.log")))
        url = f"http://{hold.address}"
        names = tuple(link.name for link in plan.links)
        lease = StoredLease.of_this_process(run_id, url, names)
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


async def _create_links(
    control: LinkControl, plan: Plan, upstreams: Mapping[str, Address], emit: Emit
) -> dict[str, str]:
    listeners: dict[str, str] = {}
    for link in plan.links:
        upstream = link.upstream or str(_upstream(upstreams, link.callee, link.name))
        try:
            listeners[link.name] = await control.create(link, upstream=upstream, listen=link.listen or "127.0.0.1:0")
        except ProxyError as error:
            where = (
                f" at {link.listen}: free that address, or leave `listen` out of the link map" if link.listen else ""
            )
            raise NotReadyError(f"link {link.name} has no listener{where} ({error})") from error
        emit(LinkUp(t_ns=now_ns(), link=link.name, listen=listeners[link.name], upstream=upstream))
    return listeners


def _upstream(upstreams: Mapping[str, Address], callee: str, link: str) -> Address:
    if callee not in upstreams:
        raise NotReadyError(
            f"link {link} leads to {callee}, which this system does not have; it has {', '.join(upstreams)}"
        )
    return upstreams[callee]


def _address(text: str) -> Address:
    host, _, port = text.rpartition(":")
    return Address(host.strip("[]"), int(port))


@asynccontextmanager
async def _open_driver(
    plan: Plan, system: LocalSystem, listeners: Mapping[str, str], children: Children, run_id: str, logs: Path
) -> AsyncIterator[Control]:
    socket = children.scratch.path / "driver.sock"
    async with open_control(socket) as driver:
        argv = (sys.executable, "-P", "-m", "chaos.workloads", str(socket))
        await children.start(ChildSpec(name="driver", argv=argv, log=logs / "driver.log", env=minimal_environment()))
        await driver.setup(_driver_plan(plan, system, listeners, run_id), within_s=_SETUP_WITHIN_S)
        yield driver


def _driver_plan(plan: Plan, system: LocalSystem, listeners: Mapping[str, str], run_id: str) -> DriverPlan:
    known = system.driver_settings
    return DriverPlan(
        run_id=run_id,
        namespace=known.namespace,
        seed=plan.scenario.seed,
        endpoints=_endpoints(plan, system, listeners),
        digest_key=known.digest_key.reveal(),
        workloads=plan.workloads,
        settings=plan.scenario.expect.settings,
    )


def _endpoints(plan: Plan, system: LocalSystem, listeners: Mapping[str, str]) -> Endpoints:
    """Where the driver's own links listen, by callee; the reference's doors by their names."""
    doors = {link.callee: listeners[link.name] for link in plan.links if link.caller == _DRIVER}
    urls = {callee: _with_scheme(system.url(callee, _address(listener))) for callee, listener in doors.items()}
    if plan.scenario.own is not None:
        return Endpoints(links=urls)
    return Endpoints(api=urls.get("api"), gateway=urls.get("gateway"), nats=urls.get("nats"), links=urls)


def _with_scheme(url: str) -> str:
    return url if "://" in url else f"tcp://{url}"
