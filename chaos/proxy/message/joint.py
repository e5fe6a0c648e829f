"""Between a connection and its director: he joins at rest, and leaves when there is nothing to direct."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from chaos.proxy.message.director import Director

if TYPE_CHECKING:
    from chaos.proxy.connection import Connection
    from chaos.proxy.toxic import Toxic

__all__ = ["Joint"]


class Joint:
    """`setup`: a fault that meets what the connection begins with."""

    def __init__(self, connection: Connection, setup: Toxic | None) -> None:
        self._connection = connection
        self._setup = setup
        self._director: Director | None = None
        self._waiting = False

    def __repr__(self) -> str:
        return f"<Joint {self._director or ('waiting' if self._waiting else 'apart')}>"

    @property
    def joined(self) -> bool:
        """Whether a director is there."""
        return self._director is not None

    def arm(self) -> None:
        """There are message faults: wait for a moment at which nothing is under way, and join."""
        if self._director is not None:
            self._director.stay()
        elif not self._waiting:
            framing = self._connection.observer.framing()
            self._waiting = framing is not None and framing.await_rest(self._join)

    def disarm(self) -> None:
        """There are none."""
        framing = self._connection.observer.framing()
        if self._director is not None:
            self._director.leave()
        elif self._waiting and framing is not None:
            self._waiting = False
            framing.take_back()

    def heal(self, toxic: Toxic) -> None:
        """One of them is over."""
        if self._director is not None and toxic.moment is not None:
            self._director.heal(toxic, time.monotonic_ns())

    def untie(self) -> None:
        """The connection is gone."""
        if self._director is not None:
            self._director.untie()
            self._director = None

    def _join(self) -> None:
        self._waiting = False
        connection, setup = self._connection, self._setup
        framing = connection.observer.framing()
        assert framing is not None
        self._setup = None
        self._director = Director(connection, framing, framing.dialect(), setup, self._left)

    def _left(self) -> None:
        self._director = None
