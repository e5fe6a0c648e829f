"""Routes under /chaos: the clock, leases, status and the wire log. A plain Toxiproxy client never calls them."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import msgspec

from chaos.errors import ChaosError
from chaos.model.base import Data
from chaos.proxy.api.bodies import decode_lease, decode_renewal
from chaos.proxy.api.messages import Reply, Request, error_reply, plain_json
from chaos.proxy.api.routing import Route
from chaos.proxy.errors import LeaseTakenError
from chaos.proxy.leases import Lease
from chaos.proxy.proxy import Proxy
from chaos.proxy.registry import Registry
from chaos.proxy.toxic import Toxic

__all__ = ["Extension", "Reload"]

Reload = Callable[[], Awaitable[Data]]

_STREAM = (("Content-Type", "application/octet-stream"), ("Cache-Control", "no-store"))


class Extension:
    """Handlers of `/chaos/...`."""

    def __init__(self, registry: Registry, reload: Reload | None = None) -> None:
        self._registry = registry
        self._reload = reload

    def routes(self) -> tuple[Route, ...]:
        """The table of these routes."""
        return (
            ("/chaos/now", {"GET": self._now}),
            ("/chaos/leases", {"GET": self._leases, "POST": self._acquire}),
            ("/chaos/leases/{}", {"DELETE": self._release}),
            ("/chaos/leases/{}/renew", {"POST": self._renew}),
            ("/chaos/status", {"GET": self._status}),
            ("/chaos/wire", {"GET": self._wire}),
            ("/chaos/reload", {"POST": self._reload_config}),
        )

    async def _now(self, _request: Request) -> Reply:
        return plain_json(200, {"monotonic_ns": time.monotonic_ns(), "wall_ns": time.time_ns()})

    async def _leases(self, _request: Request) -> Reply:
        now_ns = time.monotonic_ns()
        return plain_json(200, [_lease_shape(lease, now_ns) for lease in self._registry.server.leases.all()])

    async def _acquire(self, request: Request) -> Reply:
        asked = decode_lease(request.body)
        try:
            lease = self._registry.server.leases.acquire(
                holder=asked["holder"],
                ttl_ms=asked["ttl_ms"],
                hard_end_ms=asked["hard_end_ms"],
                exclusive=asked["exclusive"],
            )
        except LeaseTakenError as error:
            taken = {"error": str(error), "status": error.status, "holder": error.holder, "age_ms": error.age_ms}
            return plain_json(error.status, taken)
        return plain_json(201, _lease_shape(lease, time.monotonic_ns()))

    async def _renew(self, request: Request) -> Reply:
        """A renewal may bring the hard end forward and never moves it back."""
        lease = self._registry.server.leases.renew(request.params[0], hard_end_ms=decode_renewal(request.body))
        return plain_json(200, _lease_shape(lease, time.monotonic_ns()))

    async def _release(self, request: Request) -> Reply:
        self._registry.server.leases.release(request.params[0])
        return Reply(status=204)

    async def _status(self, _request: Request) -> Reply:
        wire = self._registry.server.wire
        return plain_json(
            200,
            {
                "monotonic_ns": time.monotonic_ns(),
                "proxies": [_proxy_status(proxy) for proxy in self._registry.proxies()],
                "wire": {"backlog_bytes": wire.backlog_bytes, "lost": wire.lost},
            },
        )

    async def _wire(self, _request: Request) -> Reply:
        return Reply(status=200, headers=_STREAM, stream=self._frames())

    async def _reload_config(self, _request: Request) -> Reply:
        """Read the config file again; what is wrong with it is answered with its place, and nothing changed."""
        if self._reload is None:
            return error_reply(400, "there is no config file to reload; start the proxy with -config FILE")
        try:
            return plain_json(200, msgspec.to_builtins(await self._reload()))
        except ChaosError as error:
            return error_reply(400, str(error), problems=str(error).splitlines())

    async def _frames(self) -> AsyncGenerator[bytes, None]:
        """Frames: 4 bytes of length (big-endian), then a msgpack array of wire records."""
        with self._registry.server.wire.subscribe() as batches:
            async for batch in batches:
                yield len(batch).to_bytes(4, "big") + batch


def _lease_shape(lease: Lease, now_ns: int) -> dict[str, Any]:
    return {
        "id": lease.id,
        "holder": lease.holder,
        "ttl_ms": lease.ttl_ns / 1e6,
        "exclusive": lease.exclusive,
        "age_ms": (now_ns - lease.since_ns) / 1e6,
        "expires_in_ms": (lease.expires_ns - now_ns) / 1e6,
        "hard_end_in_ms": (lease.hard_end_ns - now_ns) / 1e6,
    }


def _proxy_status(proxy: Proxy) -> dict[str, Any]:
    return {
        "name": proxy.name,
        "listen": proxy.listen,
        "upstream": proxy.upstream,
        "enabled": proxy.enabled,
        "protocol": proxy.protocol,
        "connections": len(proxy.connections()),
        "connections_total": proxy.accepted,
        "received_bytes": {"upstream": proxy.received_bytes(">"), "downstream": proxy.received_bytes("<")},
        "sent_bytes": {"upstream": proxy.sent_bytes(">"), "downstream": proxy.sent_bytes("<")},
        "toxics": [_toxic_status(toxic) for toxic in proxy.toxics],
    }


def _toxic_status(toxic: Toxic) -> dict[str, Any]:
    return {
        "name": toxic.name,
        "type": toxic.type,
        "stream": toxic.stream,
        "toxicity": toxic.toxicity,
        "attributes": msgspec.structs.asdict(toxic.attributes),
        "fault": toxic.fault,
        "lease": toxic.lease,
        "active": toxic.active,
        "since_ns": toxic.since_ns,
        "at_ns": toxic.at_ns,
        "for_ms": toxic.for_ms,
        "hits": toxic.hits,
    }
