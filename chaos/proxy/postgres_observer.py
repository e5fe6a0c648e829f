"""What becomes a wire record on a Postgres link: statements as they come, answers as they leave, and what acted on each."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from chaos.proxy.message_observer import MessageObserver
from chaos.wire.postgres import PostgresFramer

if TYPE_CHECKING:
    from chaos.proxy.connection import Connection
    from chaos.proxy.wirelog import WireLog

__all__ = ["PostgresObserver"]


class PostgresObserver(MessageObserver):
    """Frames both directions of a connection to Postgres; never changes a byte."""

    __slots__ = ()

    _framer: PostgresFramer

    def __init__(self, log: WireLog, connection: Connection) -> None:
        super().__init__(log, connection, PostgresFramer(connection.proxy.name, connection.number, log.append))
        self._up.entered = self._asked
        self._down.entered = self._answered

    def _asked(self, data: bytes) -> None:
        self._framer.feed_request(data, time.monotonic_ns(), watched=self._watched(self._up))
        if self._framer.raw:
            self._untap()

    def _answered(self, data: bytes) -> None:
        self._framer.feed_reply(data, time.monotonic_ns(), watched=self._watched(self._down))
        if self._framer.raw:
            self._untap()
