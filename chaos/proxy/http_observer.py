"""What becomes a wire record on an HTTP link: requests as they come, replies as they are delivered, and what acted on each."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from chaos.proxy.counting import Unit
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
