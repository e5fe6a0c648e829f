"""The adapter for a proxy of ours: leases, faults that begin and end by themselves, the wire log."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager, suppress
from typing import Any
from urllib.parse import quote

import anyio

from chaos.errors import ProxyError
from chaos.links.frames import split_frames
from chaos.links.http import ApiClient, ApiError, open_api
from chaos.links.port import ActiveFault, LinkControl
from chaos.model.fault import FaultSpec
from chaos.model.link import Link, Protocol, Tls

__all__ = ["connect_embedded"]

_RELEASE_WITHIN_S = 2.0


@asynccontextmanager
async def connect_embedded(base_url: str) -> AsyncIterator[LinkControl]:
    """Control a `chaos-drill proxy` whose API is at `http://host:port`; a lease still held is given back on the way out."""
    async with open_api(base_url) as api:
        control = _Embedded(api)
        try:
            yield control
        finally:
            # Without an answer the lease runs out by itself; what may remain is the read-back's to tell.
            with anyio.move_on_after(_RELEASE_WITHIN_S, shield=True), suppress(ProxyError):
                await control.release()


class _Embedded:
    def __init__(self, api: ApiClient) -> None:
        self._api = api
        self._lease: str | None = None
        self._made: set[str] = set()

    def __repr__(self) -> str:
        return f"<links of {self._api.where} lease={self._lease} made={len(self._made)}>"

    async def now_ns(self) -> int:
        now: int = (await self._api.call("GET", "/chaos/now"))["monotonic_ns"]
        return now

    async def acquire(self, *, holder: str, ttl_ms: float, hard_end_ms: float) -> None:
        asked = {"holder": holder, "ttl_ms": ttl_ms, "hard_end_ms": hard_end_ms, "exclusive": True}
        try:
            lease = await self._api.call("POST", "/chaos/leases", asked)
        except ApiError as error:
            if error.status == 404:
                raise ProxyError(
                    f"{self._api.where} is not a chaos-drill proxy: it knows no leases; start one with `chaos-drill proxy`"
                ) from error
            if error.status != 409:
                raise
            age_s = error.body.get("age_ms", 0) / 1000
            raise ProxyError(
                f"fault proxy at {self._api.where} is held by {error.body.get('holder')!r} for {age_s:.1f} s: "
                "wait for that run to end; if it is dead, its lease runs out by itself within seconds"
            ) from error
        self._lease = lease["id"]

    async def renew(self, *, hard_end_ms: float | None = None) -> None:
        if self._lease is None:
            raise ProxyError("no lease is held; acquire one first")
        asked = None if hard_end_ms is None else {"hard_end_ms": hard_end_ms}
        await self._api.call("POST", f"/chaos/leases/{self._lease}/renew", asked)

    async def create(self, link: Link, *, upstream: str, listen: str = "127.0.0.1:0") -> str:
        protocol = link.protocol if link.tls is Tls.NONE else Protocol.TCP
        asked = {"name": link.name, "listen": listen, "upstream": upstream, "protocol": protocol.value}
        await self._api.call("POST", "/proxies", asked)
        self._made.add(link.name)
        seen = await self._api.call("GET", _proxy_path(link.name))
        self._compare(link.name, seen, {"upstream": upstream, "enabled": True, "protocol": protocol.value})
        address: str = seen["listen"]
        return address

    async def arm(self, fault: FaultSpec, link: str, *, at_ns: int, seed: int) -> None:
        if self._lease is None:
            raise ProxyError(f"fault {fault.name!r} needs a lease to live by; acquire one first")
        asked = {
            "name": fault.name,
            "type": fault.kind,
            "stream": fault.stream.value,
            "toxicity": fault.toxicity,
            "attributes": fault.attributes,
            "fault": fault.name,
            "lease": self._lease,
            "seed": seed,
            "at_ns": at_ns,
            "for_ms": fault.for_ms,
        }
        # The answer is what was stored; reading it back later could miss a fault that is over already.
        seen = await self._api.call("POST", f"{_proxy_path(link)}/toxics", asked)
        expected = {key: asked[key] for key in ("type", "stream", "fault", "lease", "seed", "at_ns")}
        self._compare(f"{fault.name} on {link}", seen, expected)
        self._compare(f"{fault.name} on {link}", seen.get("attributes", {}), fault.attributes)

    async def heal(self, link: str) -> None:
        for toxic in await self._toxics(link):
            if self._is_ours(link, toxic):
                with _gone_is_fine():
                    await self._api.call("DELETE", f"{_proxy_path(link)}/toxics/{quote(toxic['name'], safe='')}")
        left = [toxic["name"] for toxic in await self._toxics(link) if self._is_ours(link, toxic)]
        if left:
            raise ProxyError(f"still on {link} after its removal: {', '.join(left)}; remove it or end the proxy")

    async def read_back(self) -> tuple[ActiveFault, ...]:
        status = await self._api.call("GET", "/chaos/status")
        return tuple(
            ActiveFault(fault=toxic["fault"], link=proxy["name"], since_ns=toxic["since_ns"])
            for proxy in status["proxies"]
            for toxic in proxy["toxics"]
            if self._is_ours(proxy["name"], toxic)
        )

    async def wire(self) -> AsyncIterator[bytes]:
        async with self._api.stream("/chaos/wire") as pieces, aclosing(split_frames(pieces)) as frames:
            async for frame in frames:
                yield frame

    async def remove(self, link: str) -> None:
        with _gone_is_fine():
            await self._api.call("DELETE", _proxy_path(link))
        self._made.discard(link)
        try:
            await self._api.call("GET", _proxy_path(link))
        except ApiError as error:
            if error.status == 404:
                return
            raise
        raise ProxyError(f"{link} is still there after its removal")

    async def release(self) -> None:
        if self._lease is not None:
            with _gone_is_fine():
                await self._api.call("DELETE", f"/chaos/leases/{self._lease}")
            self._lease = None

    def _is_ours(self, link: str, toxic: dict[str, Any]) -> bool:
        return self._lease is None or link in self._made or toxic.get("lease") == self._lease

    async def _toxics(self, link: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        with _gone_is_fine():
            found += await self._api.call("GET", f"{_proxy_path(link)}/toxics")
        return found

    def _compare(self, what: str, seen: dict[str, Any], asked: dict[str, Any]) -> None:
        for key, value in asked.items():
            if seen.get(key) != value:
                raise ProxyError(
                    f"{what}: asked for {key} {value!r}, the proxy at {self._api.where} has {seen.get(key)!r}; "
                    "is it a chaos-drill proxy of this version?"
                )


@contextmanager
def _gone_is_fine() -> Iterator[None]:
    """What is not there any more need not be removed: 404 is no error inside this block."""
    try:
        yield
    except ApiError as error:
        if error.status != 404:
            raise


def _proxy_path(link: str) -> str:
    return f"/proxies/{quote(link, safe='')}"
