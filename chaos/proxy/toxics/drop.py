"""drop: a message vanishes. Where answers come in order, a connection that lost one says no more, and is reset when the fault ends."""

# ruff: noqa: ARG002 - one interface for all actions

from __future__ import annotations

from chaos.proxy.message.action import Action, Do, Then
from chaos.proxy.message.turn import Piece
from chaos.proxy.stage import Attributes, ToxicType

__all__ = ["TOXIC"]


class DropAttributes(Attributes, frozen=True):
    """None."""


class DropAction(Action):
    """Nothing of the message passes, and nobody is told."""

    __slots__ = ()

    def act(self, piece: Piece) -> Do:
        return Do(then=Then.SWALLOW)


TOXIC = ToxicType(name="drop", attributes=DropAttributes, action=DropAction, standard=False)
