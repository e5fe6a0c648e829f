"""malform: the content of a message is garbled; its length and its framing stay right."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from chaos.model.fault_kind import Phase
from chaos.model.link import Protocol
from chaos.proxy.message.action import MESSAGES, Action, Do, Then
from chaos.proxy.message.turn import Part, Piece
from chaos.proxy.stage import Attributes, ToxicType

__all__ = ["TOXIC"]


class MalformAttributes(Attributes, frozen=True):
    """None."""


class MalformAction(Action):
    """Garbles on the way, piece by piece: nothing is kept. A message without content passes."""

    phases: ClassVar[Mapping[Phase, tuple[Protocol, ...]]] = MESSAGES
    whole: ClassVar[frozenset[Phase]] = frozenset()
    instead: ClassVar[Mapping[Phase, str]] = {
        Phase.CONNECT: "there is no message yet: malform before, after or during one"
    }

    __slots__ = ()

    def act(self, piece: Piece) -> Do | None:
        return Do(then=Then.AGAIN, garbled=True) if piece.part & Part.PAYLOAD and piece.data else None


TOXIC = ToxicType(name="malform", attributes=MalformAttributes, action=MalformAction, standard=False)
