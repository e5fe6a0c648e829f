"""What becomes a wire record on a link whose stream is not framed: connections, and the first touch of each fault."""

from __future__ import annotations

import time

from chaos.proxy.wirelog import WireLog

__all__ = ["Observer"]


class Observer:
    """Watches one connection. Writes `open`, `touch` once per fault and direction, and `close` with what caused it."""

    __slots__ = ("_opened", "_touched", "connection", "link", "log", "nbytes")

    def __init__(self, log: WireLog, link: str, connection: int) -> None:
        self.log = log
        self.link = link
        self.connection = connection
        self.nbytes = 0
        self._opened = False
        self._touched: set[tuple[str, str]] = set()

    def opened(self) -> None:
        """Both sides are there."""
        self._opened = True
        self.log.append((time.monotonic_ns(), "open", self.link, self.connection))

    def acted(self, direction: str, fault: str) -> None:
        """A fault acted on bytes of that direction."""
        if (direction, fault) not in self._touched:
            self._touched.add((direction, fault))
            self.touched(direction, fault)

    def touched(self, direction: str, fault: str) -> None:
        """The first time that this fault acted in this direction."""
        self.log.append((time.monotonic_ns(), "touch", self.link, self.connection, 0, direction, "", 0, (fault,)))

    def closed(self, status: str, fault: str) -> None:
        """The connection ended; `fault` caused it, if any."""
        faults = (fault,) if fault else ()
        self.log.append(
            (time.monotonic_ns(), "close", self.link, self.connection, 0, "", "", self.nbytes, faults, status)
        )
