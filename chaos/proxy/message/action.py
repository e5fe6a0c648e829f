"""What a message fault does, without knowing when: shown a message, or what there is of one, an action says what becomes of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from chaos.model.fault_kind import Phase
from chaos.model.link import Protocol
from chaos.proxy.message.turn import Answer, Piece

if TYPE_CHECKING:
    from chaos.proxy.toxic import Toxic

__all__ = ["FRAMED", "MESSAGES", "Action", "Do", "Then"]

FRAMED = (Protocol.HTTP, Protocol.POSTGRES, Protocol.NATS)
"""Protocols whose messages are told apart."""
ITEMIZED = (Protocol.HTTP, Protocol.POSTGRES)
"""Those whose answers consist of items."""
MESSAGES: Mapping[Phase, tuple[Protocol, ...]] = {Phase.BEFORE: FRAMED, Phase.AFTER: FRAMED, Phase.DURING: ITEMIZED}
"""Where there is a message to act on."""


class Then(Enum):
    """What becomes of the rest of the message."""

    PASS = auto()  # it passes
    AGAIN = auto()  # it is shown to the action, piece by piece
    SWALLOW = auto()  # nothing of it passes; where answers come in order, nothing at all does until the fault is over
    FIN = auto()  # the connection is closed behind what passes
    RST = auto()  # the connection is reset


class Do(NamedTuple):
    """`passes` goes on in place of what was shown, after `wait_ns`; `garbled`: something as long that nobody can read goes on.

    `answer`: an error is told instead, and the rest swallowed.
    """

    passes: bytes = b""
    then: Then = Then.PASS
    wait_ns: int = 0
    garbled: bool = False
    answer: Answer | None = None


class Action:
    """One fault on one message. A subclass says at which moments it means something, and acts.

    `whole`: the phases in which it is shown the message at once, up to 1 MiB of it. At AFTER that is the proof that the work was done:
    what does without it acts on answers that are merely under way. `answers`: it needs to be told what to answer. `unanswered`: at
    AFTER it also acts on messages that nobody answers, once they were passed on. `instead` says what to use in a phase where it means
    nothing.
    """

    phases: ClassVar[Mapping[Phase, tuple[Protocol, ...]]] = {Phase.CONNECT: FRAMED, **MESSAGES}
    whole: ClassVar[frozenset[Phase]] = frozenset({Phase.AFTER})
    answers: ClassVar[bool] = False
    unanswered: ClassVar[bool] = False
    instead: ClassVar[Mapping[Phase, str]] = {}

    __slots__ = ("attributes", "toxic")

    def __init__(self, toxic: Toxic) -> None:
        self.toxic = toxic
        self.attributes: Any = toxic.attributes

    def act(self, piece: Piece) -> Do | None:
        """What becomes of it; None if that is nothing yet: it passes, and the next piece is shown. At CONNECT the piece is empty."""
        raise NotImplementedError
