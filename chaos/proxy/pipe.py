"""One direction of a connection: chunks go through the stages in order and out to the peer.

Without stages a chunk is one write. What stages and the peer's socket hold is bounded: beyond it the sender is paused.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Protocol, cast

from chaos.proxy.stage import End, Item, Stage
from chaos.proxy.timers import Timer, Timers

__all__ = ["Pipe", "Seat", "Sitter"]

monotonic_ns = time.monotonic_ns


class Sitter(Protocol):
    """Who takes a seat in a pipe: a toxic, or what leads its message faults. `order` is its place, `fault` what wire records call it."""

    name: str
    fault: str
    order: int
    hits: int
    attributes: Any


class Seat:
    """A toxic's stage in a pipe."""

    __slots__ = ("stage", "toxic")

    def __init__(self, toxic: Sitter, stage: Stage) -> None:
        self.toxic = toxic
        self.stage = stage


class Pipe:
    """`source` is read, `sink` is written; either may still be missing (the other side is being dialled).

    Calls back: `ended(pipe, end, fault)` when an end got through, `acted(direction, fault)` when a stage touched something,
    `entered(data)` and `passed(data)` with each chunk that comes and leaves (when the link is framed). `rewrite(data)` answers what
    goes on in a chunk's place.
    """

    __slots__ = (
        "_capacity",
        "_cause",
        "_fin_seen",
        "_pending",
        "_pending_bytes",
        "_sink_full",
        "_timer",
        "_timers",
        "acted",
        "direction",
        "ended",
        "entered",
        "finished",
        "passed",
        "paused",
        "received",
        "rewrite",
        "seats",
        "sent",
        "sink",
        "source",
    )  # fmt: skip

    def __init__(
        self,
        direction: str,
        timers: Timers,
        ended: Callable[[Pipe, End, str], None],
        acted: Callable[[str, str], None],
    ) -> None:
        self.direction = direction
        self.ended = ended
        self.acted = acted
        self.entered: Callable[[bytes], None] | None = None
        self.rewrite: Callable[[bytes], bytes] | None = None
        self.passed: Callable[[bytes], None] | None = None
        self.source: asyncio.Transport | None = None
        self.sink: asyncio.Transport | None = None
        self.seats: list[Seat] = []
        self.received = 0
        self.sent = 0
        self.finished = False
        self._pending: list[Item] = []
        self._pending_bytes = 0
        self._timers = timers
        self._timer: Timer | None = None
        self._capacity = Stage.capacity
        self._cause = ""
        self._fin_seen = False
        self.paused = False
        self._sink_full = False

    @property
    def held(self) -> int:
        """Bytes that stages hold."""
        return sum(seat.stage.held for seat in self.seats)

    # What the endpoints report.

    def feed(self, data: bytes) -> None:
        """A chunk came from the source: the hottest place there is, so the plain path makes no call but the write."""
        self.received += len(data)
        if self.entered is not None:
            self.entered(data)
        if self.rewrite is not None:
            data = self.rewrite(data)
        if self.seats:
            self._pass(data, monotonic_ns())
        elif self.sink is None:
            self._write(data)
        else:
            self.sent += len(data)
            self.sink.write(data)
            if self.passed is not None:
                self.passed(data)

    def feed_end(self, end: End = End.FIN) -> None:
        """The source ended its direction."""
        if not self._fin_seen:
            self._fin_seen = True
            self._run(0, [end], monotonic_ns())

    def connect(self, sink: asyncio.Transport) -> None:
        """The sink is there: what waited for it goes out, an end included."""
        self.sink = sink
        pending, self._pending, self._pending_bytes = self._pending, [], 0
        for item in pending:
            if isinstance(item, bytes):
                sink.write(item)
            else:
                self.ended(self, item, self._cause)
        if not self.finished:
            self._settle()

    def sink_full(self, full: bool) -> None:
        """The sink's buffer is above its mark, or below it again."""
        self._sink_full = full
        self._settle()

    # What the proxy changes; nothing here waits.

    def insert(self, toxic: Sitter, stage: Stage) -> None:
        """Seat a stage in the order of the toxics."""
        index = next((i for i, seat in enumerate(self.seats) if seat.toxic.order > toxic.order), len(self.seats))
        self.seats.insert(index, Seat(toxic, stage))
        self._resized()
        self._settle()

    def update(self, toxic: Sitter) -> None:
        """The toxic's attributes changed."""
        for index, seat in enumerate(self.seats):
            if seat.toxic is toxic:
                now_ns = monotonic_ns()
                self._let_go(index, seat, seat.stage.update(toxic.attributes, now_ns), now_ns)
                return

    def give(self, toxic: Sitter, items: list[Item], now_ns: int) -> None:
        """A stage lets go of something by itself, while none of its methods is at work or before that answers."""
        for index, seat in enumerate(self.seats):
            if seat.toxic is toxic:
                self._let_go(index, seat, items, now_ns)
                return

    def remove(self, toxic: Sitter, *, spare: bool = False) -> None:
        """Take a stage out; what it held goes on through those behind it. `spare`: whatever it did, the stream goes on."""
        for index, seat in enumerate(self.seats):
            if seat.toxic is toxic:
                now_ns = monotonic_ns()
                items = seat.stage.remove(now_ns)
                if spare:
                    items = [item for item in items if item is not End.CLOSE and item is not End.RESET]
                elif seat.stage.stays:
                    return
                del self.seats[index]
                self._resized()
                self._let_go(index - 1, seat, items, now_ns)
                return

    def close(self) -> None:
        """Nothing passes any more."""
        self.finished = True
        self.seats = []
        self._pending.clear()
        self.source = self.sink = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def release(self) -> None:
        """Nobody is called back any more."""
        self.ended = _nobody_ended
        self.acted = _nobody_acted
        self.entered = self.rewrite = self.passed = None

    # Inside.

    def _pass(self, data: bytes, now_ns: int) -> None:
        """One chunk through all stages for as long as each lets it go as it is; the rest is `_run`'s."""
        at_rest = not self.paused
        for index, seat in enumerate(self.seats):
            stage = seat.stage
            items = stage.data(data, now_ns)
            if stage.acted or len(items) != 1 or items[0].__class__ is not bytes:
                if stage.acted or items:
                    self._after(seat, items)
                self._run(index + 1, items, now_ns)
                return
            data = items[0]
            at_rest = at_rest and stage.wake_ns is None and not stage.held
        self._write(data)
        if not at_rest:
            self._settle()

    def _run(self, index: int, items: list[Item], now_ns: int) -> None:
        """Push items through the stages from `index` on, then out."""
        for seat in self.seats[index:] if index else self.seats:
            if not items:
                break
            items = self._through(seat, items, now_ns)
        for item in items:
            if item.__class__ is bytes:
                self._write(item)
            else:
                self._end(cast("End", item))
                if self.finished:
                    return
        if not self.finished:
            self._settle()

    def _through(self, seat: Seat, items: list[Item], now_ns: int) -> list[Item]:
        stage = seat.stage
        if len(items) == 1 and items[0].__class__ is bytes:
            passed = stage.data(items[0], now_ns)
        else:
            passed = []
            for item in items:
                if isinstance(item, bytes):
                    passed += stage.data(item, now_ns)
                elif item is End.RESET or (item is End.CUT and not stage.held):
                    passed.append(item)
                else:
                    passed += stage.end(item, now_ns)
        if stage.acted or (passed and passed[-1].__class__ is End):
            self._after(seat, passed)
        return passed

    def _after(self, seat: Seat, passed: list[Item]) -> None:
        """Note what a stage did: whether it touched something, whether it is the one that ends the connection."""
        if seat.stage.acted:
            seat.stage.acted = False
            seat.toxic.hits += 1
            self.acted(self.direction, seat.toxic.fault)
        if passed and not self._cause and passed[-1].__class__ is End and passed[-1] is not End.FIN:
            self._cause = seat.toxic.fault

    def _write(self, data: bytes) -> None:
        self.sent += len(data)
        if self.sink is None:
            self._pending.append(data)
            self._pending_bytes += len(data)
            self._settle()
        else:
            self.sink.write(data)
        if self.passed is not None:
            self.passed(data)

    def _end(self, end: End) -> None:
        if self.sink is None and end is not End.RESET:
            self._pending.append(end)
        else:
            self.ended(self, end, self._cause)

    def _wake(self) -> None:
        self._timer = None
        now_ns = monotonic_ns()
        # From the last to the first: what an earlier stage lets go meets later ones that are up to date.
        for index in range(len(self.seats) - 1, -1, -1):
            wake_ns = None if self.finished else self.seats[index].stage.wake_ns
            if wake_ns is not None and wake_ns <= now_ns:
                self._let_go(index, self.seats[index], self.seats[index].stage.wake(now_ns), now_ns)
        if not self.finished:
            self._settle()

    def _let_go(self, index: int, seat: Seat, items: list[Item], now_ns: int) -> None:
        self._after(seat, items)
        self._run(index + 1, items, now_ns)

    def _settle(self) -> None:
        """Arm the timer for the earliest wish, and pause or resume the source."""
        wake_ns = None
        held = self._pending_bytes
        for seat in self.seats:
            stage = seat.stage
            held += stage.held + stage.overhead
            due_ns = stage.wake_ns
            if due_ns is not None and (wake_ns is None or due_ns < wake_ns):
                wake_ns = due_ns
        if wake_ns is not None and (self._timer is None or wake_ns < self._timer.when_ns):
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._timers.at(wake_ns, self._wake, prompt=True)
        pause = self._sink_full or held > self._capacity
        if pause != self.paused:
            self._pause(pause)

    def _resized(self) -> None:
        self._capacity = max((seat.stage.capacity for seat in self.seats), default=Stage.capacity)

    def _pause(self, pause: bool) -> None:
        # After its end a source must not be resumed: its transport would report the end again and again.
        if self.source is not None and not self._fin_seen:
            self.paused = pause
            if pause:
                self.source.pause_reading()
            else:
                self.source.resume_reading()


def _nobody_ended(_pipe: Pipe, _end: End, _fault: str) -> None:
    """For a pipe that was released."""


def _nobody_acted(_direction: str, _fault: str) -> None:
    """For a pipe that was released."""
