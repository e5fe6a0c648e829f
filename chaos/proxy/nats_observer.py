"""What becomes a wire record on a NATS link: messages both ways, their answers, and what acted on each."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from chaos.proxy.message.nats_dialect import NatsDialect
from chaos.proxy.message.turn import Dialect
from chaos.proxy.message_observer import MessageObserver
from chaos.wire.nats import NatsFramer

if TYPE_CHECKING:
    from chaos.proxy.connection import Connection
    from chaos.proxy.wirelog import WireLog

__all__ = ["NatsObserver"]


class NatsObserver(MessageObserver):
    """Frames both directions of a connection to NATS; changes nothing but the addresses in INFO that lead round the proxy."""

    __slots__ = ()

    _framer: NatsFramer

    def __init__(self, log: WireLog, connection: Connection) -> None:
        super().__init__(log, connection, NatsFramer(connection.proxy.name, connection.number, log.append))
        self._tap()

    def dialect(self) -> Dialect:
        """A cutter that knows what the caller subscribed to."""
        return NatsDialect(self._framer.subscription)

    def feed(self, direction: str, data: bytes) -> bytes:
        """Frame bytes that stages may act on; what goes on in their place."""
        now_ns = time.monotonic_ns()
        if direction == ">":
            self._framer.feed_request(data, now_ns, watched=True)
            return data
        return self._framer.feed_reply(data, now_ns, watched=True)

    def _tap(self, join: Callable[[], None] | None = None) -> None:
        self._up.entered = self._sent if join is None else partial(self._join_or_sent, join)
        self._down.rewrite = self._received if join is None else partial(self._join_or_received, join)

    def _join_or_sent(self, join: Callable[[], None], data: bytes) -> None:
        if self._framer.at_rest:
            join()
        else:
            self._sent(data)

    def _join_or_received(self, join: Callable[[], None], data: bytes) -> bytes:
        if self._framer.at_rest:
            join()
            return data
        return self._received(data)

    def _sent(self, data: bytes) -> None:
        self._framer.feed_request(data, time.monotonic_ns(), watched=self._watched(self._up))
        if self._framer.raw:
            self._untap()

    def _received(self, data: bytes) -> bytes:
        data = self._framer.feed_reply(data, time.monotonic_ns(), watched=self._watched(self._down))
        if self._framer.raw:
            self._untap()
        return data
