"""What becomes a wire record on a link of messages in both directions: each message as it comes, each answer as it leaves.

Both directions are framed where bytes enter the proxy. As long as no stage sits in a direction, nothing is asked of its other end.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from chaos.model.wire_record import HOUSEKEEPING
from chaos.proxy.counting import Recent, Unit
from chaos.proxy.observer import Observer
from chaos.proxy.pipe import Pipe
from chaos.wire.messages import MessageFramer, Row

if TYPE_CHECKING:
    from chaos.proxy.connection import Connection
    from chaos.proxy.wirelog import WireLog

__all__ = ["MessageObserver"]

#: Exchanges of one connection that may be picked: those on their way.
MOST_KNOWN = 1024


class MessageObserver(Observer):
    """Base of the observers of Postgres and NATS links, which feed their framers. Touches are noted beside the records."""

    __slots__ = ("_down", "_framer", "_known", "_up")

    def __init__(self, log: WireLog, connection: Connection, framer: MessageFramer) -> None:
        super().__init__(log, connection.proxy.name, connection.number)
        self._framer = framer
        self._known: Recent[int, Unit] | None = None
        self._up = connection.up
        self._down = connection.down

    def acted(self, direction: str, fault: str) -> None:
        """Note the first touch, and mark the messages of the chunk that came last."""
        super().acted(direction, fault)
        if not self._framer.raw:
            self._framer.mark(direction, (fault,))

    def units(self, direction: str) -> Callable[[], tuple[Unit, ...]]:
        """The exchanges that the chunk has bytes of, housekeeping left out; of those that began after this was asked for first."""
        if self._known is None:
            self._known = Recent(MOST_KNOWN)
            self._framer.follow(self._note)
        lane, known, framer = self._framer.up if direction == ">" else self._framer.down, self._known, self._framer

        def units() -> tuple[Unit, ...]:
            found = () if framer.raw else map(known.get, dict.fromkeys(lane.touched))
            return tuple(unit for unit in found if unit is not None)

        return units

    def _note(self, row: Row) -> None:
        """Remember what a request is; `row` is in the order of `WireRecord`, without what is unknown at its end."""
        if row[1] == "request" and self._known is not None and not row[6].startswith(HOUSEKEEPING):
            trace_id, op_id = (row[10], row[13]) if len(row) > 13 else ("", "")
            self._known.put(row[4], Unit(number=row[4], signature=row[6], trace_id=trace_id, op_id=op_id))

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
