"""What becomes a wire record on a link of messages in both directions: each message as it comes, each answer as it leaves.

Both directions are framed where bytes enter the proxy. As long as no stage sits in a direction, nothing is asked of its other end.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from chaos.model.wire_record import HOUSEKEEPING
from chaos.proxy.counting import Recent, Unit
from chaos.proxy.message.framing import Framing
from chaos.proxy.message.plan import Named
from chaos.proxy.message.turn import Dialect
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

    __slots__ = ("_caught", "_down", "_framer", "_known", "_up")

    def __init__(self, log: WireLog, connection: Connection, framer: MessageFramer) -> None:
        super().__init__(log, connection.proxy.name, connection.number)
        self._framer = framer
        self._known: Recent[int, Unit] | None = None
        self._caught: list[Named] = []
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
        """Remember what a request is."""
        if row[1] == "request" and self._known is not None and not row[6].startswith(HOUSEKEEPING):
            self._known.put(row[4], _unit(row))

    # -- message faults ---------------------------------------------------------------------------------------------

    def framing(self) -> Framing:
        """It knows messages."""
        return self

    def dialect(self) -> Dialect:
        """A cutter for this connection."""
        raise NotImplementedError

    def await_rest(self, join: Callable[[], None]) -> bool:
        """Look before each chunk, either way."""
        if self._framer.raw:
            return False
        self._tap(join)
        return True

    def lend(self) -> None:
        """The director feeds; what leaves is followed."""
        self._untap()
        self._up.passed, self._down.passed = self._up_passed, self._down_passed
        self._framer.follow(self._catch)

    def take_back(self) -> None:
        """Both directions are fed as they enter."""
        self._framer.unfollow(self._catch)
        if not self._framer.raw:
            self._tap()

    def sweep(self, direction: str) -> None:
        """What stages swallowed is told as dropped."""
        self._watched(self._up if direction == ">" else self._down)

    def name(self, direction: str, data: bytes) -> tuple[bytes, tuple[Named, ...]]:
        """What the messages are that these bytes hold."""
        self._caught = []
        data = self.feed(direction, data)
        names, self._caught = tuple(self._caught), []
        return data, names

    def _catch(self, row: Row) -> None:
        if row[1] in {"request", "ack"} and not row[6].startswith(HOUSEKEEPING):
            parent_id, sampled = (row[11], row[12]) if len(row) > 12 else ("", None)
            self._caught.append(Named(_unit(row), row[5], row[7], parent_id, sampled))

    def feed(self, direction: str, data: bytes) -> bytes:
        """Frame bytes that stages may act on."""
        raise NotImplementedError

    def mark(self, number: int, fault: str) -> None:
        """Mark one exchange."""
        self._framer.mark_exchange(number, (fault,))

    def swallow(self, direction: str, nbytes: int) -> None:
        """The last bytes fed will not leave."""
        self._framer.swallowed(direction, nbytes, time.monotonic_ns())

    def swallow_answer(self, direction: str, data: bytes, _number: int) -> None:
        """An answer came and was not delivered."""
        self.feed(direction, data)
        self.swallow(direction, len(data))

    def insert(self, direction: str, nbytes: int) -> None:
        """Bytes leave that were not fed."""
        self._framer.inserted(direction, nbytes)

    def postpone(self, direction: str, nbytes: int) -> Any:
        """The last bytes fed let others pass."""
        return self._framer.postponed(direction, nbytes)

    def resume(self, direction: str, nbytes: int, token: Any) -> None:
        """They leave now."""
        self._framer.resumed(direction, nbytes, token)

    # -- the end ----------------------------------------------------------------------------------------------------

    def closed(self, status: str, fault: str, nbytes: int) -> None:
        """Abort the exchanges that are open, then note the close."""
        self._framer.end(time.monotonic_ns(), (fault,) if fault else ())
        for seen in (self._note, self._catch):  # a knot that only the garbage collector could untie
            self._framer.unfollow(seen)
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

    def _tap(self, join: Callable[[], None] | None = None) -> None:
        """Have both directions fed as they enter; `join` is called before the first chunk that comes while nothing is under way."""
        raise NotImplementedError

    def _untap(self) -> None:
        """Nothing is framed any more; what was until now may still have to leave."""
        for pipe in (self._up, self._down):
            pipe.entered = pipe.rewrite = None


def _unit(row: Row) -> Unit:
    """A message by its row, which is in the order of `WireRecord`, without what is unknown at its end."""
    trace_id, op_id = (row[10], row[13]) if len(row) > 13 else ("", "")
    return Unit(number=row[4], signature=row[6], trace_id=trace_id, op_id=op_id)
