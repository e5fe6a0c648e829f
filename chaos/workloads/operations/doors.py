"""Everything an operation needs to reach the system and to judge its answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from chaos.errors import NotReadyError
from chaos.workloads.call import Call, Outcome
from chaos.workloads.checks import Checks
from chaos.workloads.http_door import HttpDoor
from chaos.workloads.nats_door import NatsDoor
from chaos.workloads.plain_doors import PlainDoors
from chaos.workloads.protocol import Endpoints

__all__ = ["Doors", "Runner"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Doors:
    """The system's doors, and the checks of this run. `plain` are those of plain workloads."""

    http: HttpDoor
    endpoints: Endpoints
    checks: Checks
    nats: NatsDoor | None = None
    plain: PlainDoors = field(default_factory=PlainDoors)

    def api(self, path: str) -> str:
        """URL of a path of the API. Raises NotReadyError without that endpoint."""
        return _url("api", self.endpoints.api, path)

    def gateway(self, path: str) -> str:
        """URL of a path of the gateway. Raises NotReadyError without that endpoint."""
        return _url("gateway", self.endpoints.gateway, path)

    def bus(self) -> NatsDoor:
        """The NATS connection. Raises NotReadyError without that endpoint."""
        if self.nats is None:
            raise NotReadyError("a workload uses NATS, but the plan names no endpoint `nats`")
        return self.nats


Runner = Callable[[Call, Doors], Awaitable[Outcome]]
"""What sends one operation and judges its answer, under the deadline of the caller's cancel scope."""


def _url(name: str, base: str | None, path: str) -> str:
    if base is None:
        raise NotReadyError(f"a workload uses the {name}, but the plan names no endpoint `{name}`")
    return base.rstrip("/") + path
