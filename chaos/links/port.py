"""The port to a fault proxy: what a run or a test asks of it, whichever proxy it is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from chaos.errors import ProxyError
from chaos.links.status import LinkConnection, LinkEvent, LinkStatus
from chaos.links.toxic import Toxic
from chaos.model.base import Data
from chaos.model.fault import FaultSpec
from chaos.model.link import Link

__all__ = ["ActiveFault", "LinkControl", "UnsupportedError"]


class ActiveFault(Data, frozen=True, kw_only=True):
    """A fault on a link. `since_ns` is its onset on the proxy's monotonic clock, None while it is armed.

    A Toxiproxy server tells no onsets: there it is the moment from which the fault is known to be on.
    """

    fault: str
    link: str
    since_ns: int | None = None


class UnsupportedError(ProxyError):
    """A kind of proxy cannot do that; the text names what, where and what to use instead. Nothing was changed."""


class LinkControl(Protocol):
    """Every method raises ProxyError when the proxy refuses, answers too late or is gone; none waits without end.

    What a kind of proxy cannot do is an UnsupportedError, never something weaker.
    """

    async def now_ns(self) -> int:
        """The proxy's monotonic clock, in nanoseconds; on one host it is everybody's."""

    async def acquire(self, *, holder: str, ttl_ms: float, hard_end_ms: float) -> None:
        """Take the lock and the lease that faults live by; both times count from now.

        ProxyError names the holder and its age when somebody else has it.
        """

    async def renew(self, *, hard_end_ms: float | None = None) -> None:
        """Start the lease's time to live anew, and bring its hard end forward if asked (never back; from now).

        ProxyError when the lease is gone, and its faults with it.
        """

    async def create(self, link: Link, *, upstream: str, listen: str = "127.0.0.1:0") -> str:
        """Make the link's listener and answer the address that it is."""

    async def arm(self, fault: FaultSpec, link: str, *, at_ns: int, seed: int) -> None:
        """Have the proxy begin a fault at `at_ns` and end it after `for_ms`, by itself."""

    async def heal(self, link: str) -> None:
        """Remove all faults of ours on a link, active or armed, and see that they are gone. A link that is gone is healed."""

    async def inject(self, link: str, toxic: Toxic) -> str:
        """Put a toxic on a link, from now on or as it says, and answer its name. It ends with `end`, `heal`, or this control."""

    async def end(self, link: str, name: str) -> None:
        """Take one toxic away and see that it is gone; one that is gone is ended."""

    async def read_back(self) -> tuple[ActiveFault, ...]:
        """Faults of ours, armed ones included; without a lease of ours, everybody's."""

    def wire(self) -> AsyncIterator[bytes]:
        """Batches of the wire log (msgpack arrays of `WireRecord`), until the proxy closes. ProxyError when it breaks off."""

    async def enable(self, link: str, *, enabled: bool) -> None:
        """Have a link listen, or refuse connects and drop its connections. Its address and toxics stay."""

    async def status(self) -> tuple[LinkStatus, ...]:
        """Every link with its live counters and toxics."""

    async def connections(self, link: str | None = None) -> tuple[LinkConnection, ...]:
        """The connections of a link, or of all, oldest first."""

    async def end_connection(self, connection: int, *, reset: bool = False) -> None:
        """End a connection by its id: after what is written to it, or at once with an RST. One that is gone is ended."""

    def events(self) -> AsyncIterator[LinkEvent]:
        """What happens from here on, the first being `watching`, until the proxy closes. ProxyError when it breaks off."""

    async def remove(self, link: str) -> None:
        """End a link's listener and its connections; one that is gone is removed."""

    async def release(self) -> None:
        """Give the lease back; faults that lived by it go. One that is gone is released."""
