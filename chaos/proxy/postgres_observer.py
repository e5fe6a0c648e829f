"""What becomes a wire record on a Postgres link: statements as they come, answers as they leave, and what acted on each."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from chaos.proxy.message.postgres_dialect import PostgresDialect
from chaos.proxy.message.turn import Dialect
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
        self._tap()

    def dialect(self) -> Dialect:
        """A cutter that knows how far the connection has come."""
        return PostgresDialect(opened=self._framer.opened, state=self._framer.state)

    def feed(self, direction: str, data: bytes) -> bytes:
        """Frame bytes that stages may act on."""
        feed = self._framer.feed_request if direction == ">" else self._framer.feed_reply
        feed(data, time.monotonic_ns(), watched=True)
        return data

    def _tap(self, join: Callable[[], None] | None = None) -> None:
        self._up.entered = self._asked if join is None else partial(self._join_or, self._asked, join)
        self._down.entered = self._answered if join is None else partial(self._join_or, self._answered, join)

    def _join_or(self, feed: Callable[[bytes], None], join: Callable[[], None], data: bytes) -> None:
        if self._framer.at_rest:
            join()
        else:
            feed(data)

    def _asked(self, data: bytes) -> None:
        self._framer.feed_request(data, time.monotonic_ns(), watched=self._watched(self._up))
        if self._framer.raw:
            self._untap()

    def _answered(self, data: bytes) -> None:
        self._framer.feed_reply(data, time.monotonic_ns(), watched=self._watched(self._down))
        if self._framer.raw:
            self._untap()
