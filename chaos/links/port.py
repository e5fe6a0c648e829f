"""The port to a fault proxy: what a run asks of it, whichever proxy it is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from chaos.model.base import Data
from chaos.model.fault import FaultSpec
from chaos.model.link import Link

__all__ = ["ActiveFault", "LinkControl"]


class ActiveFault(Data, frozen=True, kw_only=True):
    """A fault on a link. `since_ns` is its onset on the proxy's monotonic clock, None while it is armed."""

    fault: str
    link: str
    since_ns: int | None = None


class LinkControl(Protocol):
    """Every method raises ProxyError when the proxy refuses, answers too late or is gone; none waits without end."""

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

    async def read_back(self) -> tuple[ActiveFault, ...]:
        """Faults of ours, armed ones included; without a lease of ours, everybody's."""

    def wire(self) -> AsyncIterator[bytes]:
        """Batches of the wire log (msgpack arrays of `WireRecord`), until the proxy closes. ProxyError when it breaks off."""

    async def remove(self, link: str) -> None:
        """End a link's listener and its connections; one that is gone is removed."""

    async def release(self) -> None:
        """Give the lease back; faults that lived by it go. One that is gone is released."""
