"""What becomes a wire record on a link of messages in both directions: each message as it comes, each answer as it leaves.

Both directions are framed where bytes enter the proxy. As long as no stage sits in a direction, nothing is asked of its other end.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from chaos.proxy.observer import Observer
from chaos.proxy.pipe import Pipe
from chaos.wire.messages import MessageFramer

if TYPE_CHECKING:
    from chaos.proxy.connection import Connection
    from chaos.proxy.wirelog import WireLog

__all__ = ["MessageObserver"]


class MessageObserver(Observer):
    """Base of the observers of Postgres and NATS links, which feed their framers. Touches are noted beside the records."""

    __slots__ = ("_down", "_framer", "_up")

    def __init__(self, log: WireLog, connection: Connection, framer: MessageFramer) -> None:
        super().__init__(log, connection.proxy.name, connection.number)
        self._framer = framer
        self._up = connection.up
        self._down = connection.down

    def acted(self, direction: str, fault: str) -> None:
        """Note the first touch, and mark the messages of the chunk that came last."""
        super().acted(direction, fault)
        if not self._framer.raw:
            self._framer.mark(direction, (fault,))

    def closed(self, status: str, fault: str, nbytes: int) -> None:
        """Abort the exchanges that are open, then note the close."""
        self._framer.end(time.monotonic_ns(), (fault,) if fault else ())
        super().closed(status, fault, nbytes)

    def _watched(self, pipe: Pipe) -> bool:
        """Whether stages may act on what enters the pipe now; if so, what leaves it is followed from here on."""
        if pipe.passed is not None:
            if not pipe.held:
                self._framer.dropped(pipe.direction, time.monotonic_ns())
            return True
        if pipe.seats:
            pipe.passed = self._up_passed if pipe is self._up else self._down_passed
            return True
        return False

    def _up_passed(self, data: bytes) -> None:
        self._passed(self._up, data)

    def _down_passed(self, data: bytes) -> None:
        self._passed(self._down, data)

    def _passed(self, pipe: Pipe, data: bytes) -> None:
        waiting = self._framer.passed(pipe.direction, len(data), time.monotonic_ns())
        if not waiting and not pipe.seats:
            pipe.passed = None

    def _untap(self) -> None:
        """Nothing is framed any more; what was until now may still have to leave."""
        for pipe in (self._up, self._down):
            pipe.entered = pipe.rewrite = None
