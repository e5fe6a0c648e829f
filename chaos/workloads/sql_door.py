"""Postgres as the driver speaks it: one pool per callee, everything under the caller's deadline, nothing that can hang at the end.

asyncpg's own pool waits for a reply that never comes, in `acquire`, in `release` and in `close`. This one gives back only
connections whose statement was answered; all others are torn down on the spot.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from chaos.errors import NotReadyError

if TYPE_CHECKING:
    import asyncpg

__all__ = ["SqlDoor", "open_sql"]

_IDLE_S = 30.0
_NEVER_S = 3600.0  # asyncpg's own time limits only get in the way of the caller's


class SqlDoor:
    """Connections to one database."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._idle: deque[tuple[asyncpg.Connection[Any], float]] = deque()

    def __repr__(self) -> str:
        return f"<SqlDoor {self.idle} idle>"

    @property
    def idle(self) -> int:
        """Kept connections that are not known to have ended."""
        return sum(not connection.is_closed() for connection, _ in self._idle)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[asyncpg.Connection[Any]]:
        """A kept connection or a new one, kept again if the block ends well or with an answer of the server's.

        Raises what asyncpg.connect raises.
        """
        connection = self._kept() or await self._connect()
        fine = False
        try:
            yield connection
            fine = True
        finally:
            if fine and not connection.is_closed() and not connection.is_in_transaction():
                self._idle.append((connection, time.monotonic()))
            else:
                connection.terminate()

    async def answers(self) -> str | None:
        """None when the database answers, else what it does instead."""
        try:
            async with self.connection() as connection:
                await connection.execute("select 1")
        except Exception as error:  # noqa: BLE001 -- asked again until the caller's time is over
            return f"{type(error).__name__}: {error}"
        return None

    def close(self) -> None:
        """Tear down what is kept."""
        while self._idle:
            self._idle.pop()[0].terminate()

    def _kept(self) -> asyncpg.Connection[Any] | None:
        while self._idle:
            connection, since_s = self._idle.pop()
            if not connection.is_closed() and time.monotonic() - since_s < _IDLE_S:
                return connection
            connection.terminate()
        return None

    async def _connect(self) -> asyncpg.Connection[Any]:
        import asyncpg

        # Without a word about TLS in the URL there is none: the request for it would be one more message on the link.
        tls = None if "sslmode" in parse_qs(urlsplit(self._url).query) else False
        return await asyncpg.connect(self._url, ssl=tls, timeout=_NEVER_S)


@asynccontextmanager
async def open_sql(url: str) -> AsyncIterator[SqlDoor]:
    """A door to the database at that URL; nothing is connected yet. Raises NotReadyError without asyncpg."""
    try:
        import asyncpg  # noqa: F401
    except ImportError as error:
        raise NotReadyError("sql operations need asyncpg: install chaos-drill[local]") from error
    door = SqlDoor(url)
    try:
        yield door
    finally:
        door.close()
