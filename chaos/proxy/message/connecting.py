"""Message faults at the moment a connection is made: accepted and ended, dialled late, never served, or answered by an error."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from chaos.proxy.message.action import Then
from chaos.proxy.message.turn import Piece

if TYPE_CHECKING:
    from chaos.proxy.connection import Connection
    from chaos.proxy.toxic import Toxic

__all__ = ["meet"]


def meet(connection: Connection, toxic: Toxic) -> bool:
    """Have the fault act on a new connection; False if that goes on as any other (an error waits for what it begins with)."""
    kind = toxic.kind.action
    do = None if kind is None else kind(toxic, None).act(Piece(b""))
    if do is None or do.answer is not None:
        return False
    toxic.hits += 1
    connection.observer.tell_acted(None, toxic.fault, f"{toxic.spec.phase} {toxic.type}")
    if do.wait_ns:
        connection.start_late(toxic, time.monotonic_ns() + do.wait_ns)
    elif do.then is Then.SWALLOW:
        connection.leave_unserved(toxic)
    else:
        connection.turn_away("fin" if do.then is Then.FIN else "rst", toxic.fault)
    return True
