"""The adapter for a proxy of ours: leases, faults that begin and end by themselves, the wire log."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Any, TypeVar
from urllib.parse import quote

import anyio
import msgspec

from chaos.errors import ProxyError
from chaos.links.calls import compare, enable_link, end_toxic, gone_is_fine, heal_link, proxy_path, remove_link
from chaos.links.frames import records_since, split_frames, split_lines
from chaos.links.http import CALL_WITHIN_S, ApiClient, ApiError, open_api
from chaos.links.port import ActiveFault, LinkControl
from chaos.links.status import LinkConnection, LinkEvent, LinkStatus
from chaos.links.toxic import Toxic
from chaos.model.fault import FaultSpec
from chaos.model.link import Link, Protocol, Tls

__all__ = ["connect_embedded"]

_RELEASE_WITHIN_S = 2.0
# A toxicity comes back as the nearest float32, attributes with those that were left out.
_ROUNDED = ("toxicity", "attributes")

T = TypeVar("T")


@asynccontextmanager
async def connect_embedded(base_url: str, *, call_within_s: float = CALL_WITHIN_S) -> AsyncIterator[LinkControl]:
    """Control a `chaos-drill proxy` whose API is at `http://host:port`; toxics and lease end on the way out.

    No call takes longer than `call_within_s`.
    """
    async with open_api(base_url, call_within_s=call_within_s) as api:
        control = _Embedded(api)
        try:
            yield control
        finally:
            # Without an answer the lease runs out by itself; what may remain is the read-back's to tell.
            with anyio.move_on_after(_RELEASE_WITHIN_S, shield=True), suppress(ProxyError):
                await control.end_injected()
                await control.release()


class _Embedded:
    def __init__(self, api: ApiClient) -> None:
        self._api = api
        self._lease: str | None = None
        self._since_ns = 0
        self._made: set[str] = set()
        self._injected: set[tuple[str, str]] = set()

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
        self._since_ns = await self.now_ns()

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
        seen = await self._api.call("GET", proxy_path(link.name))
        compare(self._api, link.name, seen, {"upstream": upstream, "enabled": True, "protocol": protocol.value})
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
            **_picking(fault),
        }
        # The answer is what was stored; reading it back later could miss a fault that is over already.
        seen = await self._api.call("POST", f"{proxy_path(link)}/toxics", asked)
        expected = {key: asked[key] for key in ("type", "stream", "fault", "lease", "seed", "at_ns", *_picking(fault))}
        compare(self._api, f"{fault.name} on {link}", seen, expected)
        compare(self._api, f"{fault.name} on {link}", seen.get("attributes", {}), fault.attributes)

    async def heal(self, link: str) -> None:
        await heal_link(self._api, link, lambda toxic: self._is_ours(link, toxic))
        self._injected = {one for one in self._injected if one[0] != link}

    async def inject(self, link: str, toxic: Toxic) -> str:
        name = toxic.full_name
        asked = {**toxic.standard(), **toxic.extensions()}
        if self._lease is not None:
            asked["lease"] = self._lease
        # Noted before it is asked for: an answer that is lost leaves a toxic behind.
        self._injected.add((link, name))
        try:
            with anyio.CancelScope(shield=True):  # carried out after its caller was told that it is gone, it would stay
                seen = await self._api.call("POST", f"{proxy_path(link)}/toxics", asked)
        except ApiError as error:
            self._injected.discard((link, name))
            raise ApiError(f"toxic {toxic.type!r} on {link}: {error}", error.status, error.body) from error
        compare(self._api, f"{name} on {link}", seen, {key: asked[key] for key in asked if key not in _ROUNDED})
        compare(self._api, f"{name} on {link}", seen.get("attributes", {}), toxic.attributes)
        return name

    async def end(self, link: str, name: str) -> None:
        await end_toxic(self._api, link, name)
        self._injected.discard((link, name))

    async def end_injected(self) -> None:
        """End what was injected and is not ended yet."""
        for link, name in sorted(self._injected):
            await self.end(link, name)

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
            fresh = not self._since_ns  # without a lease everything that was kept is wanted
            async for frame in frames:
                # A proxy that outlives its runs has kept what happened since the last one: that is none of this one's.
                kept = frame if fresh else records_since(frame, self._since_ns)
                fresh = fresh or len(kept) == len(frame)
                if kept:
                    yield kept

    async def enable(self, link: str, *, enabled: bool) -> None:
        await enable_link(self._api, link, enabled=enabled)

    async def status(self) -> tuple[LinkStatus, ...]:
        return self._taken((await self._api.call("GET", "/chaos/status"))["proxies"], tuple[LinkStatus, ...])

    async def connections(self, link: str | None = None) -> tuple[LinkConnection, ...]:
        query = "" if link is None else f"?proxy={quote(link, safe='')}"
        return self._taken(await self._api.call("GET", f"/chaos/connections{query}"), tuple[LinkConnection, ...])

    async def end_connection(self, connection: int, *, reset: bool = False) -> None:
        with gone_is_fine():
            await self._api.call("DELETE", f"/chaos/connections/{connection}?how={'rst' if reset else 'fin'}")

    async def events(self) -> AsyncIterator[LinkEvent]:
        async with self._api.stream("/chaos/events") as pieces, aclosing(split_lines(pieces)) as lines:
            async for line in lines:
                yield LinkEvent.decode(line)

    async def remove(self, link: str) -> None:
        await remove_link(self._api, link)
        self._made.discard(link)

    async def release(self) -> None:
        if self._lease is not None:
            with gone_is_fine():
                await self._api.call("DELETE", f"/chaos/leases/{self._lease}")
            self._lease = None

    def _is_ours(self, link: str, toxic: dict[str, Any]) -> bool:
        if self._lease is None or link in self._made or toxic.get("lease") == self._lease:
            return True
        return (link, toxic["name"]) in self._injected

    def _taken(self, value: Any, kind: type[T]) -> T:
        try:
            return msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            raise ProxyError(
                f"{self._api.where} answered {error}; is it a chaos-drill proxy of this version?"
            ) from error


def _picking(fault: FaultSpec) -> dict[str, Any]:
    """Which messages the fault acts on, at which moment, and what it says in the callee's place; what is left out is not sent."""
    asked = {
        "phase": fault.phase,
        "match": fault.operation,
        "count": fault.count,
        "per": fault.per,
        "answer": fault.answer,
    }
    return {key: value for key, value in asked.items() if value}
