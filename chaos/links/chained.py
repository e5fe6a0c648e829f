"""A real Toxiproxy behind a recorder of ours: the real one does the harm, ours sees what passed meanwhile.

    caller -> recorder (our proxy, no toxics) -> toxiproxy-server -> callee

The server counts bytes only when a connection ends, tells no onsets and has no leases. So faults are begun and ended from here: the onset is
the interval between a request to its API and the reply, and what passes the recorder while a toxic is surely on counts as hit. With a
toxicity below 1 nobody knows what was hit. A `refuse` closes the recorder's listener as long as the server's is closed, or callers would see
accept-then-close. A guard process takes our proxies from the server if this process dies.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import cast

import anyio
import anyio.abc
import msgspec

from chaos.errors import ProxyError
from chaos.links.embedded import connect_embedded
from chaos.links.guard import Guard, guarded
from chaos.links.marked_wire import MarkedWire
from chaos.links.port import ActiveFault, LinkControl, UnsupportedError
from chaos.links.server_fault import ServerFault
from chaos.links.status import LinkConnection, LinkEvent, LinkStatus
from chaos.links.toxic import Toxic
from chaos.links.toxiproxy import connect_toxiproxy
from chaos.links.toxiproxy_limits import why_not_fault
from chaos.model.fault import FaultSpec
from chaos.model.link import Link

__all__ = ["connect_chained"]

_REMOVE_WITHIN_S = 20.0
_BEAT_EVERY_S = 1.0  # well within the guard's time to live, and for as long as there is anything to guard
_REFUSE_LONGER_MS = 60_000.0
_END_WITHIN_S = 26.0  # deleting a toxic can take 25 s where a peer does not read


@asynccontextmanager
async def connect_chained(
    recorder_url: str, toxiproxy_url: str, *, holder: str, note: Callable[[str], None] = lambda _text: None
) -> AsyncIterator[LinkControl]:
    """Control links through both proxies. Our proxies on the server begin with `holder` and end with the block; nothing else is touched.

    `note` hears of faults that could not be begun or ended in time.
    """
    async with guarded(toxiproxy_url) as guard:
        failed: list[Exception] = []
        async with (
            connect_embedded(recorder_url) as recorder,
            connect_toxiproxy(toxiproxy_url, call_within_s=_END_WITHIN_S) as server,
            anyio.create_task_group() as timers,
        ):
            control = _Chained(recorder, server, guard, timers, holder, note)
            timers.start_soon(control.keep_beating)
            try:
                yield control
            except Exception as error:  # noqa: BLE001 - raised below: the task group would wrap it
                failed.append(error)
            finally:
                with anyio.CancelScope(shield=True):
                    failed += await control.take_down()
                timers.cancel_scope.cancel()
        if failed:
            for trouble in failed[1:]:
                failed[0].add_note(str(trouble))
            raise failed[0]


class _Chained:
    def __init__(
        self,
        recorder: LinkControl,
        server: LinkControl,
        guard: Guard,
        timers: anyio.abc.TaskGroup,
        holder: str,
        note: Callable[[str], None],
    ) -> None:
        self._recorder = recorder
        self._server = server
        self._guard = guard
        self._timers = timers
        self._holder = holder
        self._note = note
        self._made: dict[str, str] = {}
        self._armed: dict[str, list[ServerFault]] = {}
        self._wire = MarkedWire(timers)
        self._unguarded = False

    def __repr__(self) -> str:
        return f"<links of {self._server!r} behind {self._recorder!r}>"

    # What the recorder does alone.

    async def now_ns(self) -> int:
        return await self._recorder.now_ns()

    async def acquire(self, *, holder: str, ttl_ms: float, hard_end_ms: float) -> None:
        await self._recorder.acquire(holder=holder, ttl_ms=ttl_ms, hard_end_ms=hard_end_ms)

    async def renew(self, *, hard_end_ms: float | None = None) -> None:
        await self._recorder.renew(hard_end_ms=hard_end_ms)
        if self._unguarded:
            raise ProxyError("the guard that would heal the Toxiproxy server if this run died is gone")

    async def keep_beating(self) -> None:
        """Tell the guard that this loop turns, until cancelled: its watch lasts longer than the lease."""
        while not self._unguarded:
            try:
                self._guard.beat()
            except BrokenPipeError:
                self._unguarded = True
            await anyio.sleep(_BEAT_EVERY_S)

    async def release(self) -> None:
        await self._recorder.release()

    async def status(self) -> tuple[LinkStatus, ...]:
        return await self._recorder.status()

    async def connections(self, link: str | None = None) -> tuple[LinkConnection, ...]:
        return await self._recorder.connections(link)

    async def end_connection(self, connection: int, *, reset: bool = False) -> None:
        await self._recorder.end_connection(connection, reset=reset)

    def events(self) -> AsyncIterator[LinkEvent]:
        return self._recorder.events()

    def wire(self) -> AsyncIterator[bytes]:
        """The recorder's log with what the server did meanwhile."""
        return self._wire.frames(cast("AsyncGenerator[bytes, None]", self._recorder.wire()))

    # What both do.

    async def create(self, link: Link, *, upstream: str, listen: str = "127.0.0.1:0") -> str:
        name = self._name(link.name)
        try:
            self._guard.watch(name)
        except BrokenPipeError:
            raise ProxyError("the guard that would heal the Toxiproxy server if this run died is gone") from None
        self._made[link.name] = name
        at = await self._server.create(Link(name=name), upstream=upstream)
        return await self._recorder.create(link, upstream=at, listen=listen)

    async def remove(self, link: str) -> None:
        with suppress(ProxyError):  # they go with the link
            await self._end_faults(link)
        await self._recorder.remove(link)
        if link in self._made:
            await self._server.remove(self._made[link])
            del self._made[link]

    async def enable(self, link: str, *, enabled: bool) -> None:
        await self._recorder.enable(link, enabled=enabled)

    async def inject(self, link: str, toxic: Toxic) -> str:
        return await self._server.inject(self._there(link), toxic)

    async def end(self, link: str, name: str) -> None:
        if link in self._made:
            await self._server.end(self._made[link], name)

    async def arm(self, fault: FaultSpec, link: str, *, at_ns: int, seed: int) -> None:
        reason = why_not_fault(fault)
        if reason is not None:
            raise UnsupportedError(f"{fault.name} on {link}: a Toxiproxy server cannot do {reason}")
        there = self._there(link)
        if fault.kind == "refuse":
            # It is ended from here, after the server's; by itself only if that takes too long.
            longer = msgspec.structs.replace(fault, for_ms=fault.for_ms + _REFUSE_LONGER_MS)
            await self._recorder.arm(longer, link, at_ns=at_ns, seed=seed)
        armed = ServerFault(fault, link, there, server=self._server, recorder=self._recorder, marker=self._wire.marker)
        self._armed.setdefault(link, []).append(armed)
        self._timers.start_soon(armed.live, at_ns, self._note)

    async def heal(self, link: str) -> None:
        there = [partial(self._server.heal, self._made[link])] if link in self._made else []
        troubles: list[ProxyError] = []
        for healing in (partial(self._end_faults, link), *there, partial(self._recorder.heal, link)):
            try:
                await healing()
            except ProxyError as error:
                troubles.append(error)
        if troubles:
            raise troubles[0]

    async def _end_faults(self, link: str) -> None:
        """End what was armed, one after the other; what could not be ended stays among the faults that are read back."""
        troubles: list[ProxyError] = []
        many = self._armed.get(link, [])
        for armed in many:
            armed.call_off()
        for armed in tuple(many):
            try:
                await armed.heal()
            except ProxyError as error:
                troubles.append(error)
        self._armed[link] = [armed for armed in self._armed.get(link, []) if not armed.over]
        if troubles:
            raise troubles[0]

    async def read_back(self) -> tuple[ActiveFault, ...]:
        links = {name: link for link, name in self._made.items()}
        there = [
            msgspec.structs.replace(one, link=links.get(one.link, one.link)) for one in await self._server.read_back()
        ]
        maybe = [one for many in self._armed.values() for armed in many for one in armed.active()]
        found = (*maybe, *there, *await self._recorder.read_back())
        return tuple({(one.fault, one.link): one for one in found}.values())

    async def take_down(self) -> list[ProxyError]:
        """Take every proxy of ours from the server. Answers what is left: the guard tries on, and the caller may have an error of its own."""
        with anyio.move_on_after(_REMOVE_WITHIN_S):
            for link in tuple(self._made):
                with suppress(ProxyError):
                    await self._server.remove(self._made[link])
                    del self._made[link]
        if not self._made:
            return []
        left = ", ".join(self._made.values())
        return [ProxyError(f"still on {self._server!r}: {left}; `chaos-drill recover` removes them")]

    def _name(self, link: str) -> str:
        return f"{self._holder}.{link}"

    def _there(self, link: str) -> str:
        """The link's name on the server."""
        if link not in self._made:
            raise ProxyError(f"there is no link {link!r} of ours on {self._server!r}; create it first")
        return self._made[link]
