"""truncate: the first half of a message passes, then the connection is closed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from chaos.model.fault_kind import Phase
from chaos.model.link import Protocol
from chaos.proxy.message.action import MESSAGES, Action, Do, Then
from chaos.proxy.message.turn import Piece
from chaos.proxy.stage import Attributes, ToxicType

__all__ = ["TOXIC"]


class TruncateAttributes(Attributes, frozen=True):
    """None."""


class TruncateAction(Action):
    """Half of a request, of an answer, or of an item in the midst of one."""

    phases: ClassVar[Mapping[Phase, tuple[Protocol, ...]]] = MESSAGES
    whole: ClassVar[frozenset[Phase]] = frozenset(MESSAGES)
    instead: ClassVar[Mapping[Phase, str]] = {Phase.CONNECT: "there is no message yet: cut with fin at connect"}

    __slots__ = ()

    def act(self, piece: Piece) -> Do:
        return Do(piece.data[: len(piece.data) // 2], Then.FIN)


TOXIC = ToxicType(name="truncate", attributes=TruncateAttributes, action=TruncateAction, standard=False)
