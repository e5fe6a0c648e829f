"""The rig: everything a run stands on, brought up in order and taken down whatever happens.

scratch and supervisor -> fault proxy (chaos.engine.proxies) -> a listener for every link -> Postgres, NATS and the services
-> a look at what runs already (chaos.engine.upstreams) -> the load driver.
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
from chaos.engine.proxies import create_links, open_proxy
from chaos.engine.redaction import Redaction
from chaos.engine.standstill import watch_standstill
from chaos.engine.upstreams import check_upstreams
from chaos.engine.variables import plain_environment
from chaos.links import LinkControl
from chaos.model.event import AnyEvent, ProcessExited, ProcessStarted
from chaos.model.plan import Plan
from chaos.system.child import Child, ChildExit, ChildSpec
from chaos.system.children import Children, open_children
from chaos.system.environment import minimal_environment
from chaos.system.local import LocalSystem
from chaos.system.ports import Address
from chaos.system.scratch import make_scratch
from chaos.workloads.control import Control, open_control
from chaos.workloads.protocol import DriverPlan, Endpoints
from chaos.workloads.reference_effects import REFERENCE_NAMESPACE

__all__ = ["Rig", "bring_up"]

_DRIVER = "driver"
_SETUP_WITHIN_S = 30.0

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
    plan: Plan, *, run_id: str, folder: Path, logs: Path, redaction: Redaction, emit: Emit, give_up: GiveUp
) -> AsyncIterator[Rig]:
    """Bring the rig up; take it down on every way out. `give_up` hears when a part was lost or stopped from outside.

    `logs` is where the processes write to, below the run's `folder`.

    Raises NotReadyError naming the part that failed and the log to read, HealError when something of the run stays behind.
    """
    async with _open_children(run_id, logs, emit) as children:
        with LocalSystem(
            children,
            logs,
            namespace=REFERENCE_NAMESPACE,
            defects=plan.defects,
            own=plan.scenario.own,
            progress=lambda child, ms: emit(_started(folder, child, ms)),
        ) as system:
            redaction.add(system.secrets())
            children.hide(redaction.redactor.forms)
            async with anyio.create_task_group() as group:
                group.start_soon(_tell_exits, children, emit, give_up)
                group.start_soon(watch_standstill, partial(_pids, children), emit, give_up, partial(_wake, children))
                healed = anyio.Event()
                async with (
                    open_proxy(
                        plan,
                        children,
                        run_id=run_id,
                        logs=logs,
                        healed=healed,
                        started=lambda child: emit(_started(folder, child)),
                        emit=emit,
                        give_up=give_up,
                    ) as control,
                    create_links(control, plan, system.reserve(), emit) as listeners,
                ):
                    await system.start({name: _address(text) for name, text in listeners.items()})
                    await check_upstreams(plan, emit)
                    async with _open_driver(plan, system, listeners, children, run_id, logs) as driver:
                        emit(_started(folder, children["driver"]))
                        yield Rig(
                            control=control,
                            driver=driver,
                            system=system,
                            children=children,
                            listeners=listeners,
                            healed=healed,
                        )
                group.cancel_scope.cancel()


def _started(folder: Path, child: Child, ready_ms: float = 0.0) -> ProcessStarted:
    log = str(child.log.relative_to(folder))
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
        environment=plain_environment(plan),
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
