"""cut: the connection ends at a message, by an RST or (`fin`) a FIN."""

# ruff: noqa: ARG002 - one interface for all actions

from __future__ import annotations

from typing import ClassVar

from chaos.proxy.message.action import Action, Do, Then
from chaos.proxy.message.turn import Piece
from chaos.proxy.stage import Attributes, ToxicType

__all__ = ["TOXIC"]


class CutAttributes(Attributes, frozen=True):
    """`fin` other than 0: closed, not reset."""

    fin: int = 0


class CutAction(Action):
    """Nothing of the message passes."""

    unanswered: ClassVar[bool] = True

    __slots__ = ()

    def act(self, piece: Piece) -> Do:
        return Do(then=Then.FIN if self.attributes.fin else Then.RST)


TOXIC = ToxicType(name="cut", attributes=CutAttributes, action=CutAction, standard=False)
