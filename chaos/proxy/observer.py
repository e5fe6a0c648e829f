"""What becomes a wire record on a link whose stream is not framed: connections, and the first touch of each fault."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from chaos.proxy.counting import Unit
from chaos.proxy.message.plan import Named
from chaos.proxy.wirelog import WireLog

if TYPE_CHECKING:
    from chaos.proxy.message.framing import Framing

__all__ = ["Observer"]

# What stands between a record's connection and its digest.
_UP_TO_DIGEST = (0, "", "", 0, (), "", "", "", None, "", None, None)


class Observer:
    """Watches one connection. Writes `open`, `touch` once per fault and direction, and `close` with what caused it."""

    __slots__ = ("_log", "_number", "_touched", "link")

    def __init__(self, log: WireLog, link: str, number: int) -> None:
        self.link = link
        self._log = log
        self._number = number
        self._touched: set[tuple[str, str]] = set()

    def opened(self, port: int = 0) -> None:
        """The connection was accepted and its upstream dialled (unless a fault keeps it from that), from that port of ours."""
        record = (time.monotonic_ns(), "open", self.link, self._number)
        self._log.append((*record, *_UP_TO_DIGEST, f"port={port}") if port else record)

    def acted(self, direction: str, fault: str) -> None:
        """A fault acted on bytes of that direction."""
        if (direction, fault) not in self._touched:
            self._touched.add((direction, fault))
            self._log.append((time.monotonic_ns(), "touch", self.link, self._number, 0, direction, "", 0, (fault,)))

    def tell_acted(self, name: Named | None, fault: str, what: str) -> None:
        """A message fault acted on that message, now; without a name on the connection as it was made."""
        head = (time.monotonic_ns(), "acted", self.link, self._number)
        if name is None:
            self._log.append((*head, 0, ">", "connect", 0, (fault,), what))
            return
        unit = name.unit
        what_it_is = (unit.number, name.direction, unit.signature, name.nbytes)
        context = (unit.trace_id, name.parent_id, name.sampled, unit.op_id)
        self._log.append((*head, *what_it_is, (fault,), what, *context))

    def framing(self) -> Framing | None:
        """What message faults need to know of messages; None where none are told apart."""

    def units(self, direction: str) -> Callable[[], tuple[Unit, ...]] | None:
        """What tells the messages that a chunk belongs to as it comes, in that direction; None where no message is known."""

    def reply_ended(self) -> None:
        """The callee's end of the stream was passed on."""

    def closed(self, status: str, fault: str, nbytes: int) -> None:
        """The connection ended after so many bytes in all; `fault` caused it, if any."""
        faults = (fault,) if fault else ()
        self._log.append((time.monotonic_ns(), "close", self.link, self._number, 0, "", "", nbytes, faults, status))
