"""Where message faults take hold of a connection: as it is made, and by a director, who joins at rest and leaves when he has nothing to do."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from chaos.proxy.message.action import Then
from chaos.proxy.message.director import Director
from chaos.proxy.message.turn import Piece
from chaos.proxy.timers import Timer

if TYPE_CHECKING:
    from chaos.proxy.connection import Connection
    from chaos.proxy.toxic import Toxic

__all__ = ["Joint"]


class Joint:
    """One connection's. `_setup` is a fault that meets what the connection begins with, `_by` one that dials it late, or never."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._director: Director | None = None
        self._waiting = False
        self._setup: Toxic | None = None
        self._by: Toxic | None = None
        self._late: Timer | None = None

    def __repr__(self) -> str:
        return f"<Joint {self._director or ('waiting' if self._waiting else 'apart')}>"

    @property
    def late(self) -> bool:
        """Whether the connection is accepted and not dialled yet."""
        return self._late is not None

    # -- as the connection is made ----------------------------------------------------------------------------------

    def meet(self, toxic: Toxic) -> bool:
        """Have the fault act on the connection; False if that goes on as any other (an error waits for what it begins with)."""
        kind, connection = toxic.kind.action, self._connection
        do = None if kind is None else kind(toxic).act(Piece(b""))
        if do is None or do.answer is not None:
            self._setup = toxic
            return False
        toxic.hits += 1
        connection.observer.tell_acted(None, toxic.fault, f"{toxic.spec.phase} {toxic.type}")
        if do.wait_ns:
            self._by = toxic
            due_ns = time.monotonic_ns() + do.wait_ns
            self._late = connection.proxy.server.timers.at(due_ns, self._dial)
        elif do.then is Then.SWALLOW:
            self._by = toxic
            connection.start(dial=False)
        else:
            connection.turn_away("fin" if do.then is Then.FIN else "rst", toxic.fault)
        return True

    def _dial(self) -> None:
        self._late = None
        if not self._connection.closing:
            self._connection.start(dial=True)

    # -- on its way -------------------------------------------------------------------------------------------------

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
        if self._late is not None and self._by is toxic:
            self._late.cancel()
            self._dial()
        elif self._by is toxic and self._connection.unserved and not self._connection.closing:
            # It was accepted and never dialled: there is nobody it could go on with.
            self._connection.reset("rst", toxic.fault)
        if self._setup is toxic:
            self._setup = None
        if self._director is not None and toxic.moment is not None:
            self._director.heal(toxic, time.monotonic_ns())

    def close(self) -> None:
        """The connection ends."""
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def untie(self) -> None:
        """The connection is gone."""
        if self._director is not None:
            self._director.untie()
            self._director = None

    def _join(self) -> None:
        self._waiting = False
        framing = self._connection.observer.framing()
        assert framing is not None
        setup, self._setup = self._setup, None
        self._director = Director(self._connection, framing, framing.dialect(), setup, self._left)

    def _left(self) -> None:
        self._director = None
