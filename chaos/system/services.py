"""Services as data (command, links, readiness) and how one is started and waited for. Not bound to the reference."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from chaos.errors import NotReadyError
from chaos.system.child import Child, ChildSpec, log_tail
from chaos.system.environment import minimal_environment
from chaos.system.ports import SHARED_HOLD, PortHold
from chaos.system.readiness import http_status, log_has, log_size, tcp_accepts, wait_until

if TYPE_CHECKING:
    from chaos.system.children import Children

__all__ = ["HttpReady", "LogReady", "Ready", "ServiceSpec", "TcpReady", "start_service", "wait_ready"]

READY_DEADLINE_S = 30.0
_PORT_TRIES = 3
_PORT_PAUSE_S = 0.2
_PORT_TAKEN = "address already in use"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class HttpReady:
    """Ready once GET `path` answers 2xx."""

    path: str = "/healthz"
    deadline_s: float = READY_DEADLINE_S


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TcpReady:
    """Ready once the port accepts a connection."""

    deadline_s: float = READY_DEADLINE_S


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LogReady:
    """Ready once a line of the log, written since the start, matches this regular expression."""

    pattern: str
    deadline_s: float = READY_DEADLINE_S


Ready = HttpReady | TcpReady | LogReady


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSpec:
    """A service as its owner describes it.

    `calls` maps each link the service opens to the environment variable that receives its address (`rag>postgres` to
    `POSTGRES_DSN`); `credentials` names the random credentials of the run that it may know, as variables. `port` is one that it insists on, 0 for any.
    """

    name: str
    argv: tuple[str, ...]
    calls: Mapping[str, str] = dataclasses.field(default_factory=dict)
    credentials: tuple[str, ...] = ()
    env: Mapping[str, str] = dataclasses.field(default_factory=dict, repr=False)
    cwd: Path | None = None
    ready: Ready = HttpReady()
    port: int = 0
    stop_signal: Literal["TERM", "INT"] = "TERM"


async def start_service(
    children: Children, spec: ServiceSpec, hold: PortHold, env: Mapping[str, str], log: Path
) -> Child:
    """Start a service on the held port and wait until it is ready; `env` is added to the minimal environment.

    Raises NotReadyError, with the end of its log, if it ends or is not ready in time.
    """
    child_spec = ChildSpec(
        name=spec.name,
        argv=spec.argv,
        log=log,
        env={**minimal_environment(), **spec.env, **env},
        cwd=spec.cwd,
        stop_signal=spec.stop_signal,
    )
    for attempt in range(_PORT_TRIES):
        hold.hand_over()
        since = log_size(log)
        child = await children.start(child_spec)
        try:
            await wait_ready(child, spec.ready, hold, since)
        except NotReadyError:
            if SHARED_HOLD or attempt == _PORT_TRIES - 1 or _PORT_TAKEN not in log_tail(log).lower():
                raise
            await asyncio.sleep(_PORT_PAUSE_S)  # somebody else's port for a moment; nothing tells when it is free
        else:
            return child
    raise AssertionError("unreachable")


async def wait_ready(child: Child, ready: Ready, hold: PortHold, since: int = 0) -> None:
    """Wait until `child` is ready. `since` is the size of its log at the start. Raises NotReadyError."""
    match ready:
        case HttpReady(path=path):

            async def probe() -> bool:
                return 200 <= await http_status(hold.address, path) < 300

            what = f"GET {path} at {hold.address}"
        case TcpReady():

            async def probe() -> bool:
                return await tcp_accepts(hold.address)

            what = f"connect to {hold.address}"
        case LogReady(pattern=pattern):

            async def probe() -> bool:
                return log_has(child.log, pattern, since)

            what = f"no line matches {pattern}"
    await wait_until(probe, child, ready.deadline_s, what)
