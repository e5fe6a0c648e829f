"""The adapter for a real toxiproxy-server: its own toxics, from now on until they are ended. All else is refused by name."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, NoReturn

import anyio

from chaos.errors import ProxyError
from chaos.links.calls import compare, enable_link, end_toxic, heal_link, proxy_path, remove_link
from chaos.links.http import CALL_WITHIN_S, ApiClient, ApiError, open_api
from chaos.links.port import ActiveFault, LinkControl, UnsupportedError
from chaos.links.status import LinkConnection, LinkEvent, LinkStatus
from chaos.links.toxic import Toxic
from chaos.links.toxiproxy_limits import why_not
from chaos.model.fault import FaultSpec
from chaos.model.link import Link

__all__ = ["connect_toxiproxy"]

_END_WITHIN_S = 10.0


@asynccontextmanager
async def connect_toxiproxy(base_url: str, *, call_within_s: float = CALL_WITHIN_S) -> AsyncIterator[LinkControl]:
    """Control a toxiproxy-server whose API is at `http://host:port`; toxics injected here end on the way out.

    It has no leases: if this process is killed, its toxics stay. Of a server that others use nothing else is touched.
    No request takes longer than `call_within_s`.
    """
    async with open_api(base_url, call_within_s=call_within_s) as api:
        control = _Toxiproxy(api)
        try:
            yield control
        finally:
            with anyio.move_on_after(_END_WITHIN_S, shield=True), suppress(ProxyError):
                await control.end_injected()


class _Toxiproxy:
    def __init__(self, api: ApiClient) -> None:
        self._api = api
        self._made: set[str] = set()
        self._since_ns: dict[tuple[str, str], int] = {}

    def __repr__(self) -> str:
        return f"<links of toxiproxy {self._api.where} made={len(self._made)}>"

    async def create(self, link: Link, *, upstream: str, listen: str = "127.0.0.1:0") -> str:
        for address in (listen, upstream):
            if address.startswith("unix:"):
                self._refuse(f"{link.name}: the unix socket {address!r}")
        asked = {"name": link.name, "listen": listen, "upstream": upstream}
        await self._api.call("POST", "/proxies", asked)
        self._made.add(link.name)
        seen = await self._api.call("GET", proxy_path(link.name))
        compare(self._api, link.name, seen, {"upstream": upstream, "enabled": True})
        return str(seen["listen"])

    async def inject(self, link: str, toxic: Toxic) -> str:
        reason = why_not(toxic)
        if reason is not None:
            self._refuse(f"{toxic.full_name} on {link}: {reason}")
        name = toxic.full_name
        # Noted before it is asked for: an answer that is lost leaves a toxic behind.
        self._since_ns[link, name] = time.monotonic_ns()
        try:
            with anyio.CancelScope(shield=True):  # carried out after its caller was told that it is gone, it would stay
                seen = await self._api.call("POST", f"{proxy_path(link)}/toxics", toxic.standard())
        except ApiError as error:
            del self._since_ns[link, name]
            raise ApiError(f"toxic {toxic.type!r} on {link}: {error}", error.status, error.body) from error
        self._since_ns[link, name] = time.monotonic_ns()
        compare(self._api, f"{name} on {link}", seen, {"type": toxic.type, "stream": toxic.stream})
        compare(self._api, f"{name} on {link}", seen.get("attributes", {}), toxic.attributes)
        return name

    async def end(self, link: str, name: str) -> None:
        await end_toxic(self._api, link, name)
        self._since_ns.pop((link, name), None)

    async def end_injected(self) -> None:
        """End what was injected and is not ended yet."""
        for link, name in sorted(self._since_ns):
            await self.end(link, name)

    async def heal(self, link: str) -> None:
        await heal_link(self._api, link, lambda toxic: self._is_ours(link, toxic))
        self._since_ns = {key: value for key, value in self._since_ns.items() if key[0] != link}

    async def read_back(self) -> tuple[ActiveFault, ...]:
        proxies = await self._api.call("GET", "/proxies")
        seen_ns = time.monotonic_ns()
        return tuple(
            ActiveFault(fault=toxic["name"], link=link, since_ns=self._since_ns.get((link, toxic["name"]), seen_ns))
            for link, proxy in proxies.items()
            for toxic in proxy["toxics"]
            if self._is_ours(link, toxic)
        )

    async def enable(self, link: str, *, enabled: bool) -> None:
        await enable_link(self._api, link, enabled=enabled)

    async def remove(self, link: str) -> None:
        await remove_link(self._api, link)
        self._made.discard(link)
        self._since_ns = {key: value for key, value in self._since_ns.items() if key[0] != link}

    async def release(self) -> None:
        """There is no lease that could be held."""

    # What it cannot do.

    async def now_ns(self) -> int:
        self._refuse("telling its clock")

    async def acquire(self, *, holder: str, ttl_ms: float, hard_end_ms: float) -> None:  # noqa: ARG002
        self._refuse(f"a lease for {holder!r}")

    async def renew(self, *, hard_end_ms: float | None = None) -> None:  # noqa: ARG002
        self._refuse("renewing a lease")

    async def arm(self, fault: FaultSpec, link: str, *, at_ns: int, seed: int) -> None:  # noqa: ARG002
        self._refuse(f"{fault.name} on {link}: beginning and ending a fault by itself (at, for) and seeding it")

    async def status(self) -> tuple[LinkStatus, ...]:
        self._refuse("live counters")

    async def connections(self, link: str | None = None) -> tuple[LinkConnection, ...]:  # noqa: ARG002
        self._refuse("a list of connections")

    async def end_connection(self, connection: int, *, reset: bool = False) -> None:  # noqa: ARG002
        self._refuse(f"ending connection {connection}")

    def events(self) -> AsyncIterator[LinkEvent]:
        self._refuse("a stream of events")

    def wire(self) -> AsyncIterator[bytes]:
        self._refuse("a wire log")

    def _refuse(self, what: str) -> NoReturn:
        raise UnsupportedError(
            f"{what} is not to be had from the Toxiproxy server at {self._api.where}; use `chaos-drill proxy` for this"
        )

    def _is_ours(self, link: str, toxic: dict[str, Any]) -> bool:
        return link in self._made or (link, toxic["name"]) in self._since_ns
