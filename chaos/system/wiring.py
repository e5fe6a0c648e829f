"""What a service is told: the random credentials of a run, and each callee's address by way of the service's own link."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

from chaos.system.nats import USER
from chaos.system.ports import Address
from chaos.system.postgres import role_dsn
from chaos.system.secret import Secret, random_secret
from chaos.system.services import ServiceSpec

__all__ = ["Credentials", "Wiring"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Random for each run, so that a search for them in its files means something."""

    postgres: Secret = dataclasses.field(default_factory=random_secret)
    postgres_admin: Secret = dataclasses.field(default_factory=random_secret)
    nats: Secret = dataclasses.field(default_factory=random_secret)
    provider_api_key: Secret = dataclasses.field(default_factory=random_secret)
    digest_key: Secret = dataclasses.field(default_factory=random_secret)

    def values(self) -> frozenset[str]:
        """All of them, in the clear: for the redactor."""
        return frozenset(getattr(self, field.name).reveal() for field in dataclasses.fields(self))

    def variable(self, name: str) -> str:
        """The credential a service knows under the name of that variable. Raises KeyError for an unknown one."""
        known = {"PROVIDER_API_KEY": self.provider_api_key, "DIGEST_KEY": self.digest_key}
        return known[name].reveal()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Wiring:
    """Settings all services of a run share."""

    credentials: Credentials
    namespace: str
    defects: tuple[str, ...] = ()
    otlp_endpoint: str | None = None

    def fit(
        self, service: ServiceSpec, upstreams: Mapping[str, Address], listeners: Mapping[str, Address]
    ) -> ServiceSpec:
        """The service with its variables complete; a link without a listener leads straight to its callee."""
        return dataclasses.replace(service, env={**service.env, **self._environment(service, upstreams, listeners)})

    def parts(self, callee: str, address: Address) -> dict[str, str]:
        """What can be said of a callee that is reached at `address`."""
        return {"url": self._url(callee, address), "host": address.host, "port": str(address.port)}

    def secrets(self) -> Iterator[str]:
        """Beside the credentials there are none."""
        return iter(())

    def _environment(
        self, service: ServiceSpec, upstreams: Mapping[str, Address], listeners: Mapping[str, Address]
    ) -> dict[str, str]:
        own = upstreams[service.name]
        env = {"LISTEN_HOST": own.host, "LISTEN_PORT": str(own.port), "NAMESPACE": self.namespace}
        if self.defects:
            env["CHAOS_DEFECTS"] = ",".join(self.defects)
        if self.otlp_endpoint is not None:
            env["OTEL_EXPORTER_OTLP_ENDPOINT"] = self.otlp_endpoint
        for link, variable in service.calls.items():
            callee = link.partition(">")[2]
            env[variable] = self._url(callee, listeners.get(link) or upstreams[callee])
        return env | {name: self.credentials.variable(name) for name in service.credentials}

    def _url(self, callee: str, address: Address) -> str:
        if callee == "postgres":
            return role_dsn(self.credentials.postgres, address).reveal()
        if callee == "nats":
            return f"nats://{USER}:{self.credentials.nats.reveal()}@{address}"
        return f"http://{address}"
