"""What framers of message protocols share: two lanes of bytes, records in pairs, and which faults acted on which message.

Both directions are fed as bytes enter the proxy. A `request` record is written at once. A `reply` record closes its exchange; while
stages hold or change bytes (`watched`) it waits until its last byte has left, so that it can name every fault that acted on the
exchange, and a reply that never left is told as such. Without stages nothing waits, and a message costs no object but its record.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

__all__ = ["MAX_MESSAGE_BYTES", "NO_CONTEXT", "Closing", "Faults", "Lane", "MessageFramer", "Row"]

Faults = tuple[str, ...]
Row = tuple[Any, ...]
Closing = tuple[int, str, int, str, tuple[Any, ...], str, int, bool]
"""number, signature, nbytes, status, context, digest, deliveries, and whether it is only told when a fault acted."""

MAX_MESSAGE_BYTES = 1 << 30
"""No message of either protocol is longer (both servers refuse far less)."""

NO_CONTEXT: tuple[Any, ...] = ("", "", None, "", None)
_LEAVING_LIMIT = 8_192
_MARKS_LIMIT = 16_384


class Lane:
    """One direction. Offsets count its bytes from the connection's start."""

    __slots__ = (
        "base",
        "carry",
        "direction",
        "entered",
        "gaps",
        "leaving",
        "left",
        "skip",
        "touched",
        "unclaimed",
        "watched",
    )

    def __init__(self, direction: str) -> None:
        self.direction = direction
        self.carry = b""  # the head of a message, not complete yet
        self.skip = 0  # bytes of the current message still to come
        self.entered = self.left = self.base = 0  # `base`: the offset of the first byte being framed
        self.watched = False
        self.touched: list[int] = []  # numbers of the exchanges with bytes in the latest chunk
        self.unclaimed: Faults = ()  # acted on bytes of a message that has no number yet
        self.leaving: deque[tuple[int, Closing]] = deque()  # what is written once that offset has left
        self.gaps: deque[tuple[int, int]] = deque()  # from that offset on so many bytes are not to leave

    def advance(self, nbytes: int) -> None:
        """So many bytes have left, and those that are not to leave behind them count as if they had."""
        self.left += nbytes
        while self.gaps and self.gaps[0][0] <= self.left:
            self.left += self.gaps.popleft()[1]


class MessageFramer:
    """Base of the framers. `emit` takes each record, a tuple in the order of `WireRecord`."""

    __slots__ = ("_connection", "_emit", "_link", "_marks", "_number", "_seen", "_writing", "down", "raw", "up")

    def __init__(self, link: str, connection: int, emit: Callable[[Row], None]) -> None:
        self._link = link
        self._connection = connection
        self._emit = self._writing = emit
        self._number = 0
        self._seen: tuple[Callable[[Row], None], ...] = ()
        self._marks: dict[int, Faults] = {}
        self.raw = False
        self.up = Lane(">")
        self.down = Lane("<")

    def __repr__(self) -> str:
        state = "raw" if self.raw else "framed"
        return f"<{type(self).__name__} {self._link}#{self._connection} {state} messages={self._number}>"

    def follow(self, seen: Callable[[Row], None]) -> None:
        """Show each record to `seen`, too, before it is written.

        An answer that is a message of its own (a NATS acknowledgement) is shown as soon as it is there, as a row of the kind `ack` that
        is never written: its `reply` record waits for its bytes to leave.
        """
        self._seen = (*self._seen, seen)
        self._emit = self._show

    def unfollow(self, seen: Callable[[Row], None]) -> None:
        """No longer show records to `seen`."""
        self._seen = tuple(one for one in self._seen if one != seen)
        if not self._seen:
            self._emit = self._writing

    def _show(self, row: Row) -> None:
        for seen in self._seen:
            seen(row)
        self._writing(row)

    # -- what acted -------------------------------------------------------------------------------------------------

    @property
    def at_rest(self) -> bool:
        """Whether nothing is under way in either direction."""
        lanes = (self.up, self.down)
        return not self.raw and not any(lane.carry or lane.skip for lane in lanes)

    def mark(self, direction: str, faults: Faults) -> None:
        """Faults acted on the chunk of that direction that was fed last: on every exchange with bytes in it."""
        lane = self.up if direction == ">" else self.down
        for number in lane.touched:
            self._mark(number, faults)
        if self._claims_later(lane):
            lane.unclaimed = _joined(lane.unclaimed, faults)

    def passed(self, direction: str, nbytes: int, t_ns: int) -> bool:
        """So many bytes left in that direction. Answers whether records still wait for others to leave."""
        lane = self.up if direction == ">" else self.down
        if lane.gaps:
            lane.advance(nbytes)
        else:
            lane.left += nbytes
        leaving = lane.leaving
        while leaving and leaving[0][0] <= lane.left:
            self._write(t_ns, direction, leaving.popleft()[1])
        return bool(leaving)

    def dropped(self, direction: str, t_ns: int) -> None:
        """Nothing is held back in that direction: what has not left never will."""
        lane = self.up if direction == ">" else self.down
        lane.left = lane.entered
        lane.gaps.clear()
        while lane.leaving:
            self._write(t_ns, direction, lane.leaving.popleft()[1], "dropped")

    # -- what message faults do: the streams that leave are not those that came -----------------------------------------

    def mark_exchange(self, number: int, faults: Faults) -> None:
        """Faults acted on that exchange."""
        self._mark(number, faults)

    def swallowed(self, direction: str, nbytes: int, t_ns: int) -> None:
        """The last so many bytes fed will never leave; what ends with them is told as dropped."""
        for _, closing in self._taken_out(direction, nbytes):
            self._write(t_ns, direction, closing, "dropped")

    def postponed(self, direction: str, nbytes: int) -> list[tuple[int, Closing]]:
        """The last so many bytes fed, which are whole messages, let others pass; what to give to `resumed`."""
        return self._taken_out(direction, nbytes)

    def resumed(self, direction: str, nbytes: int, closings: list[tuple[int, Closing]]) -> None:
        """Now they leave, behind everything fed so far, where no message is under way."""
        lane = self.up if direction == ">" else self.down
        lane.entered += nbytes
        lane.leaving.extend((lane.entered, closing) for _, closing in closings)

    def inserted(self, direction: str, nbytes: int) -> None:
        """So many bytes that were not fed leave behind everything fed so far, where no message is under way."""
        self.resumed(direction, nbytes, [])

    def _taken_out(self, direction: str, nbytes: int) -> list[tuple[int, Closing]]:
        lane = self.up if direction == ">" else self.down
        start = lane.entered - nbytes
        taken: list[tuple[int, Closing]] = []
        while lane.leaving and lane.leaving[-1][0] > start:
            taken.append(lane.leaving.pop())
        lane.gaps.append((start, nbytes))
        lane.advance(0)
        return taken[::-1]

    def end(self, t_ns: int, faults: Faults = ()) -> None:
        """The connection is gone: what is open is aborted. `faults` cut it. Nothing may be fed afterwards."""
        raise NotImplementedError

    # -- for subclasses ---------------------------------------------------------------------------------------------

    def _claims_later(self, lane: Lane) -> bool:
        """Whether the latest chunk has bytes of a message that has no number yet."""
        return bool(lane.carry)

    def _enter(self, lane: Lane, data: bytes, *, watched: bool) -> bytes:
        """Take a chunk's bytes into account; answers them behind what was carried over."""
        if watched or lane.watched:
            if not lane.watched:
                lane.left = lane.entered
            lane.touched = []
            lane.watched = watched
        lane.base = lane.entered
        lane.entered += len(data)
        if lane.carry:
            lane.base -= len(lane.carry)
            data, lane.carry = lane.carry + data, b""
        return data

    def _next_number(self, lane: Lane) -> int:
        self._number = number = self._number + 1
        if lane.watched or lane.unclaimed:
            self._claim(lane, number)
        return number

    def _claim(self, lane: Lane, number: int) -> None:
        """The bytes being framed are of this exchange."""
        if lane.watched:
            lane.touched.append(number)
        if lane.unclaimed:
            self._mark(number, lane.unclaimed)
            lane.unclaimed = ()

    def _close(self, lane: Lane, end: int, t_ns: int, closing: Closing) -> None:
        """An exchange ends with the byte before offset `end` of the lane."""
        if not lane.watched:
            self._write(t_ns, lane.direction, closing)
            return
        lane.touched.append(closing[0])
        lane.leaving.append((end, closing))
        if len(lane.leaving) > _LEAVING_LIMIT:
            self._write(t_ns, lane.direction, lane.leaving.popleft()[1])

    def _mark(self, number: int, faults: Faults) -> None:
        if not faults:
            return
        self._marks[number] = _joined(self._marks.get(number, ()), faults)
        if len(self._marks) > _MARKS_LIMIT:  # marks that came when the exchange was over and told
            del self._marks[next(iter(self._marks))]

    def _write(self, t_ns: int, direction: str, closing: Closing, instead: str = "") -> None:
        number, signature, nbytes, status, context, digest, deliveries, only_if_acted = closing
        faults = self._marks.pop(number, ()) if self._marks else ()
        if faults or not only_if_acted:
            head = (t_ns, "reply", self._link, self._connection, number, direction, signature, nbytes, faults)
            self._emit((*head, instead or status, *context, None, digest, None, deliveries))

    def _go_raw(self, lane: Lane, t_ns: int, status: str = "") -> None:
        """Nothing is framed from here on; `status` says why where that is known."""
        self.raw = True
        for one in (lane, self.down if lane is self.up else self.up):
            one.carry, one.skip = b"", 0
            self._emit(
                (t_ns, "raw", self._link, self._connection, self._number, one.direction, "", 0, one.unclaimed, status)
            )
            one.unclaimed = ()

    def _end_leaving(self, t_ns: int, faults: Faults, status: str) -> None:
        """The connection is gone: what has not left will not."""
        for lane in (self.up, self.down):
            while lane.leaving:
                closing = lane.leaving.popleft()[1]
                self._mark(closing[0], faults)
                self._write(t_ns, lane.direction, closing, status)


def _joined(faults: Faults, more: Faults) -> Faults:
    return faults + tuple(fault for fault in more if fault not in faults) if more else faults
