"""What becomes a wire record on a NATS link: messages both ways, their answers, and what acted on each."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

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
        self._up.entered = self._sent
        self._down.rewrite = self._received

    def _sent(self, data: bytes) -> None:
        self._framer.feed_request(data, time.monotonic_ns(), watched=self._watched(self._up))
        if self._framer.raw:
            self._untap()

    def _received(self, data: bytes) -> bytes:
        data = self._framer.feed_reply(data, time.monotonic_ns(), watched=self._watched(self._down))
        if self._framer.raw:
            self._untap()
        return data
