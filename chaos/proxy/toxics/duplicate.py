"""duplicate: a message of NATS is passed on twice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from chaos.model.fault_kind import Phase
from chaos.model.link import Protocol
from chaos.proxy.message.action import Action, Do
from chaos.proxy.message.turn import Piece
from chaos.proxy.stage import Attributes, ToxicType

__all__ = ["TOXIC"]

_ELSEWHERE = "http and postgres would take the second one for something else: hold or cut after it, so that the caller sends it again"


class DuplicateAttributes(Attributes, frozen=True):
    """None."""


class DuplicateAction(Action):
    """Twice the same bytes."""

    phases: ClassVar[Mapping[Phase, tuple[Protocol, ...]]] = {
        Phase.BEFORE: (Protocol.NATS,),
        Phase.AFTER: (Protocol.NATS,),
    }
    instead: ClassVar[Mapping[Phase, str]] = {Phase.BEFORE: _ELSEWHERE, Phase.AFTER: _ELSEWHERE}

    __slots__ = ()

    def act(self, piece: Piece) -> Do:
        return Do(piece.data * 2)


TOXIC = ToxicType(name="duplicate", attributes=DuplicateAttributes, action=DuplicateAction, standard=False)
