"""A whole system on this machine: Postgres, NATS and services, each reached through its callers' links.

    with LocalSystem(children, log_dir) as system:
        upstreams = system.reserve()           # where every callee will listen: the proxies' upstreams
        await system.start(listeners)          # link name -> the listener its caller is told
        ...
        await system.stop_services()           # gracefully, so that telemetry is flushed

Servers and what is left of the services end with the `children` they were started by.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Self

import anyio

from chaos.errors import NotReadyError
from chaos.model.system import SystemModel
from chaos.system.callers import Caller, nats_callers, postgres_callers
from chaos.system.child import Child, ChildExit, ChildSpec
from chaos.system.children import Children
from chaos.system.nats import USER, NatsServer, start_nats, wait_serving
from chaos.system.own import OwnWiring, local_stores, own_services, own_upstreams
from chaos.system.ports import Address, PortHold, reserve_port
from chaos.system.postgres import PostgresServer, start_postgres, wait_accepting
from chaos.system.readiness import log_size
from chaos.system.reference import REFERENCE_SERVICES
from chaos.system.secret import Secret
from chaos.system.services import ServiceSpec, start_service, wait_ready
from chaos.system.wiring import Credentials, Wiring

__all__ = ["STORES", "DriverSettings", "LocalSystem", "Progress"]

Progress = Callable[[Child, float], None]
"""Told each part that came up, and the milliseconds it took to be ready."""

POSTGRES, NATS = "postgres", "nats"
_MONITOR = "monitor of nats"  # no name that a service can have

STORES = (POSTGRES, NATS)
"""Callees that tell who is connected to them."""

SERVICE_GRACE_MS = 3000.0
"""A service that needs two seconds to end gracefully still gets to flush its telemetry."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class DriverSettings:
    """What the driver has to know of the system besides the listeners of its links."""

    digest_key: Secret
    nats_user: str
    nats_password: Secret
    namespace: str


class LocalSystem:
    """The system of one run. Ports are held from `reserve` until the `with` block ends, restarts included.

    Without `own` it is the reference backend (or the `services` given) on a Postgres and a NATS of its own.
    """

    def __init__(
        self,
        children: Children,
        log_dir: Path,
        *,
        services: tuple[ServiceSpec, ...] = REFERENCE_SERVICES,
        namespace: str = "ref",
        defects: tuple[str, ...] = (),
        otlp_endpoint: str | None = None,
        own: SystemModel | None = None,
        progress: Progress = lambda _child, _ms: None,
    ) -> None:
        self._children = children
        self._log_dir = log_dir
        self._services = {service.name: service for service in (services if own is None else own_services(own))}
        self._progress = progress
        self._namespace = namespace
        self._credentials = Credentials()
        self._stores = frozenset(STORES) if own is None else local_stores(own)
        self._upstreams = {} if own is None else own_upstreams(own)
        self._wiring: Wiring | OwnWiring = (
            OwnWiring(model=own, credentials=self._credentials)
            if own is not None
            else Wiring(
                credentials=self._credentials, namespace=namespace, defects=defects, otlp_endpoint=otlp_endpoint
            )
        )
        self._holds: dict[str, PortHold] = {}
        self._specs: dict[str, ChildSpec] = {}
        self._postgres: PostgresServer | None = None
        self._nats: NatsServer | None = None

    def __repr__(self) -> str:
        return f"<LocalSystem {self._namespace}: {', '.join(self._holds) or 'nothing reserved'}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for hold in self._holds.values():
            hold.close()

    @property
    def postgres(self) -> PostgresServer:
        """The running Postgres: DSNs for read-back. Raises NotReadyError before `start`."""
        if self._postgres is None:
            raise NotReadyError("Postgres was not started yet")
        return self._postgres

    @property
    def nats(self) -> NatsServer:
        """The running nats-server: URL and monitor. Raises NotReadyError before `start`."""
        if self._nats is None:
            raise NotReadyError("NATS was not started yet")
        return self._nats

    @property
    def driver_settings(self) -> DriverSettings:
        """What the driver needs to talk to the system and to check its answers."""
        return DriverSettings(
            digest_key=self._credentials.digest_key,
            nats_user=USER,
            nats_password=self._credentials.nats,
            namespace=self._namespace,
        )

    @property
    def stores(self) -> frozenset[str]:
        """Those of `STORES` that this run starts: nobody else has any business there."""
        return self._stores

    async def callers(self, store: str) -> tuple[Caller, ...]:
        """Who is, or was, connected to one of `stores`, by its own word. Raises NotReadyError."""
        return await (postgres_callers(self.postgres) if store == POSTGRES else nats_callers(self.nats))

    def variable(self, link: str) -> str | None:
        """The environment variable by which the link's caller is told its listener; None if no service of ours opens it."""
        caller = self._services.get(link.partition(">")[0])
        return caller.calls.get(link) if caller is not None else None

    def secrets(self) -> frozenset[str]:
        """Every random credential of this run: nothing of it may stand in a file of the run."""
        return self._credentials.values() | frozenset(self._wiring.secrets())

    def direct(self, store: str) -> str:
        """The URL of a store that this run did not start, straight to it and with its own rights; empty if there is none."""
        return self._wiring.direct(store) if isinstance(self._wiring, OwnWiring) else ""

    def url(self, callee: str, address: Address) -> str:
        """The URL of a callee that is reached at `address`, credentials included."""
        return self._wiring.parts(callee, address)["url"]

    def reserve(self) -> dict[str, Address]:
        """Choose and hold a port for every callee of ours; where each callee listens. Asking again gives the same answer.

        Raises NotReadyError when a port that a service insists on is taken.
        """
        monitor = (_MONITOR,) if NATS in self._stores else ()
        for name in (*sorted(self._stores), *monitor, *self._services):
            if name not in self._holds:
                self._holds[name] = self._reserve(name)
        held = {name: hold.address for name, hold in self._holds.items() if name != _MONITOR}
        return self._upstreams | held

    def _reserve(self, name: str) -> PortHold:
        wanted = self._services[name].port if name in self._services else 0
        try:
            return reserve_port(port=wanted)
        except OSError as error:
            raise NotReadyError(
                f"{name} insists on port {wanted}, which is taken: end what listens there, or leave `port` out and tell "
                f"it its port by `listen` or {{port}} ({error.strerror})"
            ) from error

    async def start(self, link_listeners: Mapping[str, Address]) -> None:
        """Start Postgres and NATS together, then all services together; returns when every one is ready.

        A link that is missing in `link_listeners` leads straight to its callee. Raises NotReadyError naming the log of
        what did not come up.
        """
        self.reserve()
        starts = {POSTGRES: self._start_postgres, NATS: self._start_nats}
        await _together(*(start for name, start in starts.items() if name in self._stores))
        await _together(*(partial(self._start_service, one, link_listeners) for one in self._services.values()))

    async def restart(self, name: str) -> Child:
        """Start a server or service again that has ended: same command, same port; wait until it is ready."""
        since = log_size(self._specs[name].log)
        child = await self._children.start(self._specs[name])
        if name == POSTGRES:
            self._postgres = dataclasses.replace(self.postgres, child=child)
            await wait_accepting(self._postgres)
        elif name == NATS:
            self._nats = dataclasses.replace(self.nats, child=child)
            await wait_serving(self._nats)
        else:
            await wait_ready(child, self._services[name].ready, self._holds[name], since)
        return child

    async def stop_services(self, grace_ms: float = SERVICE_GRACE_MS) -> tuple[ChildExit, ...]:
        """Stop all services that still run, together and gracefully; how each ended. Servers stay up.

        Raises NotReadyError, once all were tried, if one does not end or the supervisor is gone.
        """
        running = [child for child in self._children.living if child.name in self._services]
        ended = await asyncio.gather(*(child.stop(grace_ms) for child in running), return_exceptions=True)
        for one in ended:
            if isinstance(one, BaseException):
                raise one
        return tuple(one for one in ended if not isinstance(one, BaseException))

    async def _start_postgres(self) -> None:
        began = time.monotonic()
        self._postgres = await start_postgres(
            self._children,
            self._holds[POSTGRES],
            self._log(POSTGRES),
            password=self._credentials.postgres,
            admin_password=self._credentials.postgres_admin,
        )
        self._up(self._postgres.child, began)

    async def _start_nats(self) -> None:
        began = time.monotonic()
        self._nats = await start_nats(
            self._children, self._holds[NATS], self._holds[_MONITOR], self._log(NATS), password=self._credentials.nats
        )
        self._up(self._nats.child, began)

    async def _start_service(self, service: ServiceSpec, listeners: Mapping[str, Address]) -> None:
        began = time.monotonic()
        fitted = self._wiring.fit(service, self.reserve(), listeners)
        hold = self._holds[service.name]
        self._up(await start_service(self._children, fitted, hold, {}, self._log(service.name)), began)

    def _log(self, name: str) -> Path:
        return self._log_dir / f"{name}.log"

    def _up(self, child: Child, began_s: float) -> None:
        self._specs[child.name] = child.spec
        self._progress(child, (time.monotonic() - began_s) * 1000)


async def _together(*steps: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run steps at once; the first failure ends the others and is raised as it is, not in a group.

    Not by asyncio.TaskGroup: up to Python 3.12, one whose task fails while it waits leaves its own task marked as being cancelled, and
    the next cancel scope around it lets a CancelledError through.
    """
    try:
        async with anyio.create_task_group() as group:
            for step in steps:
                group.start_soon(step)
    except* NotReadyError as failures:
        raise failures.exceptions[0] from None
