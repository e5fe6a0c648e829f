"""hold: a message is passed on late; where answers come in order, what is behind it waits, too."""

from __future__ import annotations

from chaos.proxy.errors import BadAttributesError
from chaos.proxy.message.action import Action, Do
from chaos.proxy.message.turn import Piece
from chaos.proxy.stage import MAX_NS, MS, Attributes, ToxicType

__all__ = ["TOXIC"]


class HoldAttributes(Attributes, frozen=True):
    """Milliseconds."""

    hold: int = 0

    def check(self) -> None:
        if self.hold < 1:
            raise BadAttributesError(f"hold {self.hold} holds nothing, give the milliseconds that a message waits")


class HoldAction(Action):
    """The message as it is, later."""

    __slots__ = ()

    def act(self, piece: Piece) -> Do:
        return Do(piece.data, wait_ns=min(self.attributes.hold * MS, MAX_NS >> 1))


TOXIC = ToxicType(name="hold", attributes=HoldAttributes, action=HoldAction, standard=False)
