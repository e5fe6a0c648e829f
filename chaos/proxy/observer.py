"""What becomes a wire record on a link whose stream is not framed: connections, and the first touch of each fault."""

from __future__ import annotations

import time
from collections.abc import Callable

from chaos.proxy.counting import Unit
from chaos.proxy.wirelog import WireLog

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

    def units(self, direction: str) -> Callable[[], tuple[Unit, ...]] | None:
        """What tells the messages that a chunk belongs to as it comes, in that direction; None where no message is known."""

    def reply_ended(self) -> None:
        """The callee's end of the stream was passed on."""

    def closed(self, status: str, fault: str, nbytes: int) -> None:
        """The connection ended after so many bytes in all; `fault` caused it, if any."""
        faults = (fault,) if fault else ()
        self._log.append((time.monotonic_ns(), "close", self.link, self._number, 0, "", "", nbytes, faults, status))
