"""A plan: what one message fault is about to do to one turn, and how far it has come."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from chaos.model.fault_kind import Phase
from chaos.proxy.counting import Unit
from chaos.proxy.message.action import Action, Then
from chaos.proxy.message.turn import Answer, Forged, Part, Piece

if TYPE_CHECKING:
    from chaos.proxy.toxic import Toxic

__all__ = ["WITHHELD_BYTES", "Load", "Named", "Plan"]

WITHHELD_BYTES = 1024 * 1024
"""So much of a message is kept until it is complete; what is longer counts as complete then."""


class Named(NamedTuple):
    """A message as the framer named it, with what its `acted` record says beside."""

    unit: Unit
    direction: str
    nbytes: int
    parent_id: str = ""
    sampled: bool | None = None


class Load(NamedTuple):
    """A piece on its way; `fed`: the framer has its bytes."""

    piece: Piece
    fed: bool


class Plan:
    """`names` are the turn's messages, `name` the one that was picked. `rest`: what becomes of what is still to come, None before the
    fault acted.

    `gathered`: bytes kept until the message is complete, of a piece like `kind`. `answer`: what is to be said in the callee's place,
    `told` once it is made up, until it is this turn's time. `lost`: nothing of the request was passed on, and nobody is told.
    """

    __slots__ = (
        "acted",
        "action",
        "answer",
        "gathered",
        "item",
        "kind",
        "lost",
        "name",
        "names",
        "phase",
        "refused",
        "rest",
        "told",
        "toxic",
    )

    def __init__(
        self, toxic: Toxic, action: Action, phase: Phase, names: tuple[Named, ...], name: Named | None
    ) -> None:
        self.toxic = toxic
        self.action = action
        self.phase = phase
        self.item = toxic.moment.item if toxic.moment is not None else 0
        self.names = names
        self.name = name
        self.rest: Then | None = None
        self.gathered: bytearray | None = None
        self.kind: Load | None = None
        self.answer: Answer | None = None
        self.acted = self.refused = self.lost = False
        self.told: Forged | None = None

    def __repr__(self) -> str:
        return f"<Plan {self.toxic.fault} {self.phase} rest={self.rest}>"

    @property
    def void(self) -> bool:
        """Whether the fault is over."""
        return self.toxic.over

    @property
    def owes(self) -> bool:
        """Whether something was swallowed that the rest of the exchange must be swallowed for, too, or an answer made up."""
        return self.rest is Then.SWALLOW or self.told is not None

    @property
    def what(self) -> str:
        """What the `acted` record says: `after cut`."""
        return f"{self.toxic.spec.phase or self.phase} {self.toxic.type}"

    @property
    def whole(self) -> bool:
        """Whether the action is shown the message at once."""
        return self.phase in self.action.whole

    def meets(self, piece: Piece, *, reply: bool) -> bool:
        """Whether that piece, of the request or of the answer, is of what the plan is about, or behind it."""
        if self.void and self.rest in (None, Then.AGAIN):
            return False
        if self.phase is Phase.BEFORE or not reply:
            return self.phase is Phase.BEFORE and not reply
        if self.phase is Phase.AFTER or piece.item == self.item:
            return True
        return self.gathered is not None or self.rest not in (None, Then.AGAIN)

    def complete(self, piece: Piece, *, reply: bool, waits: bool) -> bool:
        """Whether what the action is to be shown is over with that piece."""
        if not reply:
            return bool(piece.part & Part.LAST) or waits
        if self.phase is Phase.DURING and piece.part & Part.ENDS:
            return True
        return bool(piece.part & Part.DONE)
