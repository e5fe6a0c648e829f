"""What becomes a wire record on an HTTP link: requests as they come, replies as they are delivered, and what acted on each."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from chaos.proxy.counting import Unit
from chaos.proxy.message.framing import Framing
from chaos.proxy.message.http_dialect import HttpDialect
from chaos.proxy.message.plan import Named
from chaos.proxy.message.turn import Dialect
from chaos.proxy.observer import Observer
from chaos.wire.http1 import Http1Framer
from chaos.wire.http1_exchange import Exchange

if TYPE_CHECKING:
    from chaos.proxy.connection import Connection
    from chaos.proxy.wirelog import WireLog

__all__ = ["HttpObserver"]


class HttpObserver(Observer):
    """Frames requests where they enter the proxy and replies where they leave it: what a fault swallows is not delivered."""

    __slots__ = ("_down", "_framer", "_up")

    def __init__(self, log: WireLog, link: str, connection: Connection) -> None:
        super().__init__(log, link, connection.number)
        self._framer = Http1Framer(link, connection.number, log.append)
        self._up = connection.up
        self._down = connection.down
        self._up.entered = self._entered
        self._down.passed = self._passed

    def acted(self, direction: str, fault: str) -> None:
        """Mark the message under way, or note a touch once there are no messages any more."""
        if self._framer.raw:
            super().acted(direction, fault)
        elif direction == ">":
            self._framer.mark_request((fault,))
        else:
            self._framer.mark_reply((fault,))

    def units(self, direction: str) -> Callable[[], tuple[Unit, ...]]:
        """A request's chunk is of the exchanges that it has bytes of; a reply's of the oldest that is open."""
        framer = self._framer
        exchanges = framer.requests_fed if direction == ">" else framer.answering
        return lambda: tuple(_unit(exchange) for exchange in exchanges())

    # -- message faults ---------------------------------------------------------------------------------------------

    def framing(self) -> Framing:
        """It knows messages."""
        return self

    def dialect(self) -> Dialect:
        """A cutter of HTTP/1.1."""
        return HttpDialect()

    def await_rest(self, join: Callable[[], None]) -> bool:
        """Look before each chunk of a request."""
        if self._framer.raw:
            return False

        def entered(data: bytes) -> None:
            if self._framer.at_rest:
                join()
            else:
                self._entered(data)

        self._up.entered = entered
        return True

    def lend(self) -> None:
        """Requests are fed by the director; replies still as they leave."""
        self._up.entered = None

    def take_back(self) -> None:
        """Requests are fed as they enter."""
        if not self._framer.raw:
            self._up.entered = self._entered

    def name(self, direction: str, data: bytes) -> tuple[bytes, tuple[Named, ...]]:
        """What the requests are that begin with these bytes."""
        before = self._framer.requests
        self.feed(direction, data)
        return data, tuple(_named(one) for one in self._framer.requests_fed() if one.number > before)

    def feed(self, direction: str, data: bytes) -> bytes:
        """Requests; a reply is framed as it leaves."""
        if direction == ">":
            self._framer.feed_request(data, time.monotonic_ns())
        return data

    def mark(self, number: int, fault: str) -> None:
        """Mark one exchange."""
        self._framer.mark_exchange(number, (fault,))

    def swallow_answer(self, _direction: str, _data: bytes, number: int) -> None:
        """It came and was not delivered."""
        self._framer.drop(number, time.monotonic_ns())

    def sweep(self, direction: str) -> None:
        """Nothing: requests are told when they come, replies when they leave, and no record waits for bytes."""

    def swallow(self, direction: str, nbytes: int) -> None:
        """Nothing."""

    def insert(self, direction: str, nbytes: int) -> None:
        """Nothing."""

    def postpone(self, _direction: str, _nbytes: int) -> None:
        """Nothing."""

    def resume(self, direction: str, nbytes: int, token: object) -> None:
        """Nothing."""

    # -- the end ----------------------------------------------------------------------------------------------------

    def reply_ended(self) -> None:
        """A reply that reaches until the close is complete."""
        self._framer.end_reply(time.monotonic_ns())

    def closed(self, status: str, fault: str, nbytes: int) -> None:
        """Abort the exchanges that are open, then note the close."""
        self._framer.end(time.monotonic_ns(), (fault,) if fault else ())
        super().closed(status, fault, nbytes)

    def _entered(self, data: bytes) -> None:
        self._framer.feed_request(data, time.monotonic_ns())
        if self._framer.raw:
            self._untap()

    def _passed(self, data: bytes) -> None:
        self._framer.feed_reply(data, time.monotonic_ns())
        if self._framer.raw:
            self._untap()

    def _untap(self) -> None:
        self._up.entered = None
        self._down.passed = None


def _unit(exchange: Exchange) -> Unit:
    head = exchange.head
    return Unit(number=exchange.number, signature=head.signature, trace_id=head.trace_id, op_id=head.op_id)


def _named(exchange: Exchange) -> Named:
    head = exchange.head
    return Named(_unit(exchange), ">", head.length or 0, head.parent_id, head.sampled)
