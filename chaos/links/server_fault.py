"""A fault on a real Toxiproxy: begun at its time, ended once, and told as far as it is known.

Between a request and its reply nobody knows whether it is on. So each request is carried through, whoever stops waiting for it, and there is
one at a time: what heals waits for what begins.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import anyio

from chaos.errors import ProxyError
from chaos.links.marking import Marker
from chaos.links.port import ActiveFault, LinkControl
from chaos.links.toxic import Toxic
from chaos.model.fault import FaultSpec

__all__ = ["ServerFault"]

_ENDS_CONNECTIONS = frozenset({"limit_data", "reset_peer", "slow_close", "timeout"})


class ServerFault:
    """A fault on a link, from its arming until it is over. `name` is the link's on the server.

    A `refuse` is shut there, while the recorder refuses: it says when that began, and its end comes after the server's.
    """

    def __init__(
        self, fault: FaultSpec, link: str, name: str, *, server: LinkControl, recorder: LinkControl, marker: Marker
    ) -> None:
        self._fault = fault
        self._link = link
        self._name = name
        self._server = server
        self._recorder = recorder
        self._marker = marker
        self._one_at_a_time = anyio.Lock()
        self._healing = anyio.Event()
        self._since_ns: int | None = None

    def __repr__(self) -> str:
        return f"<{self._fault.name} on {self._link} on={self._since_ns is not None} healing={self._healing.is_set()}>"

    @property
    def over(self) -> bool:
        """Whether it was healed, or called off before it began."""
        return self._healing.is_set() and self._since_ns is None

    def active(self) -> tuple[ActiveFault, ...]:
        """The fault if it may be on."""
        if self._since_ns is None:
            return ()
        return (ActiveFault(fault=self._fault.name, link=self._link, since_ns=self._since_ns),)

    async def live(self, at_ns: int, note: Callable[[str], None]) -> None:
        """Begin and end it in time, unless it is healed before; `note` hears what could not be done."""
        who = f"{self._fault.name} on {self._link}"
        await self._until(at_ns)
        try:
            await self._begin()
            await self._until(at_ns + int(self._fault.for_ms * 1e6))
        except ProxyError as error:  # the answer may be lost and the fault be on: it is ended all the same
            note(f"{who} could not be begun: {error}")
        try:
            await self._end("healed" if self._healing.is_set() else "ended")
        except ProxyError as error:
            note(f"{who} could not be ended in time: {error}")

    def call_off(self) -> None:
        """Begin it no more; what has begun ends at once."""
        self._healing.set()

    async def heal(self) -> None:
        """End it, if it may be on. Raises ProxyError if that fails: then it counts as on, and can be healed again."""
        self.call_off()
        await self._end("healed")

    async def _begin(self) -> None:
        async with self._one_at_a_time:
            if not self._healing.is_set():
                with anyio.CancelScope(shield=True):
                    await self._put()

    async def _end(self, how: str) -> None:
        async with self._one_at_a_time:
            if self._since_ns is not None:
                with anyio.CancelScope(shield=True):
                    await self._take(how)

    async def _put(self) -> None:
        fault = self._fault
        self._since_ns = time.monotonic_ns()  # from the request on it may act, whatever becomes of the answer
        if fault.kind == "refuse":
            await self._server.enable(self._name, enabled=False)
            return
        self._marker.asked(fault.name, self._link, self._since_ns)
        await self._server.inject(self._name, _toxic(fault))
        if fault.toxicity >= 1:
            ends = fault.kind in _ENDS_CONNECTIONS
            self._marker.sure(fault.name, self._link, time.monotonic_ns(), ends_connections=ends)

    async def _take(self, how: str) -> None:
        fault, asked_ns = self._fault, time.monotonic_ns()
        if fault.kind == "refuse":
            await self._server.enable(self._name, enabled=True)
            self._marker.ends_there(fault.name, self._link, asked_ns, how)
            await self._recorder.end(self._link, fault.name)
        else:
            self._marker.unsure(fault.name, self._link, asked_ns)
            await self._server.end(self._name, fault.name)
            self._marker.ends(fault.name, self._link, time.monotonic_ns(), how)
        self._since_ns = None

    async def _until(self, t_ns: int) -> None:
        """Wait for that moment, or for the healing."""
        while not self._healing.is_set() and (left_ns := t_ns - time.monotonic_ns()) > 0:
            with anyio.move_on_after(left_ns / 1e9):
                await self._healing.wait()


def _toxic(fault: FaultSpec) -> Toxic:
    return Toxic(
        type=fault.kind,
        name=fault.name,
        stream=fault.stream.value,
        toxicity=fault.toxicity,
        attributes=fault.attributes,
    )
