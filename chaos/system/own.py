"""A system of the user's own: its services as commands with their variables, its stores local or by URL."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal, cast
from urllib.parse import unquote, urlsplit

from chaos.errors import NotReadyError
from chaos.model.interpolation import interpolate, names_in
from chaos.model.link import Protocol
from chaos.model.store_url import StoreUrl, read_store_url
from chaos.model.system import LOCAL, STORES, ReadyWhen, ServiceModel, SystemModel
from chaos.system.nats import USER
from chaos.system.ports import Address
from chaos.system.postgres import role_dsn
from chaos.system.services import HttpReady, LogReady, Ready, ServiceSpec, TcpReady
from chaos.system.wiring import Credentials

__all__ = ["OwnWiring", "local_stores", "own_services", "own_upstreams"]


def own_services(model: SystemModel) -> tuple[ServiceSpec, ...]:
    """The services as they can be started, their texts not filled in yet."""
    return tuple(
        ServiceSpec(
            name=one.name,
            argv=one.command,
            calls={f"{one.name}>{callee}": callee for callee in one.calls},
            env=one.env,
            cwd=(Path(model.folder) / one.cwd).resolve(),
            ready=_ready(one.ready),
            stop_signal=cast("Literal['TERM', 'INT']", one.stop_signal),
            port=one.port,
        )
        for one in model.services
    )


def _ready(when: ReadyWhen) -> Ready:
    deadline_s = when.within_ms / 1000
    if when.kind == "http":
        return HttpReady(path=when.value, deadline_s=deadline_s)
    if when.kind == "log":
        return LogReady(pattern=when.value, deadline_s=deadline_s)
    return TcpReady(deadline_s=deadline_s)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class OwnWiring:
    """Fills in what services are told. `environment` is ours, for `${NAME}`."""

    model: SystemModel
    credentials: Credentials
    surroundings: Mapping[str, str] = dataclasses.field(default_factory=lambda: os.environ, repr=False)

    def fit(
        self, service: ServiceSpec, upstreams: Mapping[str, Address], listeners: Mapping[str, Address]
    ) -> ServiceSpec:
        """The service with its command and variables complete. Raises NotReadyError for a variable that is not set."""
        model = cast("ServiceModel", self.model.service(service.name))
        own = upstreams[service.name]
        values = {"host": own.host, "port": str(own.port), "python": sys.executable}
        told: dict[str, str] = {model.listen: str(own.port)} if model.listen else {}
        for callee, variables in model.calls.items():
            address = listeners.get(f"{service.name}>{callee}") or upstreams[callee]
            parts = self.parts(callee, address)
            values |= {f"{callee}.{part}": value for part, value in parts.items()}
            wanted = {variables.url: parts["url"], variables.host: parts["host"], variables.port: parts["port"]}
            told |= {name: value for name, value in wanted.items() if name}
        argv = tuple(self._text(word, values, service.name) for word in service.argv)
        env = {name: self._text(value, values, service.name) for name, value in service.env.items()}
        return dataclasses.replace(service, argv=argv, env={**told, **env})

    def parts(self, callee: str, address: Address) -> dict[str, str]:
        """What can be said of a callee that is reached at `address`: url, host, port, user, password, database."""
        url = self._url(callee, address)
        split = urlsplit(url) if "://" in url else None
        return {
            "url": url,
            "host": address.host,
            "port": str(address.port),
            "user": unquote((split and split.username) or ""),
            "password": unquote((split and split.password) or ""),
            "database": unquote(split.path if split else "").lstrip("/"),
        }

    def direct(self, store: str) -> str:
        """The URL of a store that runs already, straight to it; empty for one that is not such."""
        written = self.model.stores.get(store, LOCAL)
        return "" if written == LOCAL else self._store(store).text

    def secrets(self) -> Iterator[str]:
        """What may stand in no file of the run: variables of ours that the system uses, passwords of its stores."""
        texts = [
            *self.model.stores.values(),
            *(text for one in self.model.services for text in (*one.env.values(), *one.command)),
        ]
        for text in texts:
            for name in names_in(text):
                value = self.surroundings.get(name, "")
                if value:
                    yield value
        for store, written in self.model.stores.items():
            if written != LOCAL:
                yield from self._store(store).secrets

    def _url(self, callee: str, address: Address) -> str:
        written = self.model.stores.get(callee)
        if written == LOCAL:
            if callee == "postgres":
                return role_dsn(self.credentials.postgres, address).reveal()
            return f"nats://{USER}:{self.credentials.nats.reveal()}@{address}"
        if written is not None:
            return self._store(callee).at(str(address))
        return f"http://{address}" if self.model.protocol_of(callee) is Protocol.HTTP else str(address)

    def _store(self, name: str) -> StoreUrl:
        try:
            return read_store_url(self.model.stores[name], self.surroundings)
        except KeyError as error:
            raise _missing(name, error) from None
        except ValueError:
            raise NotReadyError(
                f"what the variables of {name} say makes no URL: write it as in the scenario reference"
            ) from None

    def _text(self, text: str, values: Mapping[str, str], who: str) -> str:
        try:
            return interpolate(text, values, self.surroundings)
        except KeyError as error:
            raise _missing(who, error) from None


def _missing(who: str, error: KeyError) -> NotReadyError:
    return NotReadyError(f"{who} needs the variable {error.args[0]}, which is not set: export it")


def local_stores(model: SystemModel) -> frozenset[str]:
    """The stores that come from their wheels."""
    return frozenset(name for name in STORES if model.stores.get(name) == LOCAL)


def own_upstreams(model: SystemModel) -> dict[str, Address]:
    """Where listens what runs already; stores by URL have their address in their links."""
    found: dict[str, Address] = {}
    for name, one in model.upstreams.items():
        host, _, port = one.address.rpartition(":")
        found[name] = Address(host.strip("[]"), int(port))
    return found
