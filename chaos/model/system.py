"""A system of the user's own: services that we start, stores from the wheels or by URL, and what runs already. Data, no code.

Texts of commands and variables may hold `{port}` and `{host}` (the service's own), `{python}` (the interpreter that runs the drill), `{callee.url}`, `{callee.host}`, `{callee.port}`, `{callee.user}`,
`{callee.password}`, `{callee.database}` (of a callee, by way of the service's link), and `${NAME}` of our own environment.
"""

from __future__ import annotations

from chaos.model.base import Data
from chaos.model.link import Protocol

__all__ = ["LOCAL", "STORES", "ReadyWhen", "ServiceModel", "SystemModel", "Upstream", "Variables"]

LOCAL = "local"
"""A store that comes from its wheel and lives as long as the run."""

STORES = {"postgres": Protocol.POSTGRES, "nats": Protocol.NATS}
"""Callees with a meaning of their own."""


class Variables(Data, frozen=True, kw_only=True):
    """Names of the environment variables that receive a callee's address; empty: none. `url` is a DSN for stores."""

    url: str = ""
    host: str = ""
    port: str = ""


class ReadyWhen(Data, frozen=True, kw_only=True):
    """When a service counts as ready: `http` (GET `value` answers 2xx), `tcp` (its port accepts), `log` (a line matches `value`)."""

    kind: str
    value: str = ""
    within_ms: float = 30_000.0


class ServiceModel(Data, frozen=True, kw_only=True):
    """A service that a run starts. `listen` is the variable that receives its port, `port` a fixed one (0: any free one).

    `cwd` is relative to the scenario. `traced`: it passes trace context on, so that its calls can be tied to operations,
    but for those whose signature is like one of `untraced`.
    """

    name: str
    command: tuple[str, ...]
    ready: ReadyWhen
    cwd: str = ""
    env: dict[str, str] = {}
    listen: str = ""
    port: int = 0
    protocol: Protocol = Protocol.HTTP
    traced: bool = False
    untraced: tuple[str, ...] = ()
    calls: dict[str, Variables] = {}
    stop_signal: str = "TERM"


class Upstream(Data, frozen=True, kw_only=True):
    """Something that runs already: where it listens, and what it speaks."""

    address: str
    protocol: Protocol = Protocol.HTTP


class SystemModel(Data, frozen=True, kw_only=True):
    """`stores` maps postgres and nats to `local` or to the URL of one that runs; `folder` is where the scenario lies."""

    services: tuple[ServiceModel, ...] = ()
    stores: dict[str, str] = {}
    upstreams: dict[str, Upstream] = {}
    folder: str = ""

    def service(self, name: str) -> ServiceModel | None:
        """The service of that name, or None."""
        return next((one for one in self.services if one.name == name), None)

    def protocol_of(self, callee: str) -> Protocol:
        """What a callee speaks. Raises KeyError for one that the system does not have."""
        if callee in self.stores:
            return STORES[callee]
        if callee in self.upstreams:
            return self.upstreams[callee].protocol
        service = self.service(callee)
        if service is None:
            raise KeyError(callee)
        return service.protocol

    @property
    def names(self) -> tuple[str, ...]:
        """Everything that can be called."""
        return (*(one.name for one in self.services), *self.stores, *self.upstreams)
