"""The Postgres dialect of message faults: both directions of one connection cut into turns, and what is said in the server's place. Pure."""

from __future__ import annotations

from chaos.proxy.message.postgres_answering import Answering
from chaos.proxy.message.postgres_asking import Asking
from chaos.proxy.message.postgres_forging import forged, garbled
from chaos.proxy.message.postgres_talk import Question, Talk
from chaos.proxy.message.turn import Answer, Forged, Piece, Turn

__all__ = ["PostgresDialect"]


class PostgresDialect:
    """One connection's cutter; never raises, whatever it is fed.

    `opened`: its start-up is over; `state`: what the latest ReadyForQuery told of the transaction (`I`, `T`, `E`).
    """

    ordered = True
    has_items = True

    __slots__ = ("_down", "_talk", "_up")

    def __init__(self, *, opened: bool = False, state: str = "I") -> None:
        self._talk = Talk(opened=opened, state=state)
        self._up = Asking(self._talk)
        self._down = Answering(self._talk)

    def __repr__(self) -> str:
        state = "raw" if self._talk.raw else f"tx={self._talk.state}"
        return f"<PostgresDialect {state} open={len(self._talk.questions)}>"

    @property
    def raw(self) -> bool:
        """Whether messages cannot be told apart any more."""
        return self._talk.raw

    def asked(self, data: bytes) -> list[Piece]:
        """Bytes from the caller."""
        return self._up.feed(data)

    def answered(self, data: bytes) -> list[Piece]:
        """Bytes from the callee."""
        return self._down.feed(data)

    def kept(self, direction: str) -> int:
        """Bytes kept back in that direction, bounded."""
        return (self._up if direction == ">" else self._down).kept

    def give_up(self, direction: str) -> bytes:
        """What was kept back: the director leaves."""
        return (self._up if direction == ">" else self._down).give_up()

    def ended(self, direction: str) -> list[Piece]:
        """The stream ended: what was kept back; no answer reaches until then."""
        kept = self.give_up(direction)
        return [Piece(kept)] if kept else []

    def amid(self, direction: str) -> bool:
        """Whether a message is under way, or (from the caller) a long group or COPY data."""
        return (self._up if direction == ">" else self._down).amid

    def forget(self, turn: Turn) -> None:
        """No answer to it will come."""
        assert isinstance(turn, Question)
        self._talk.forget(turn)

    def refusal(self, turn: Turn, answer: Answer, *, done: bool) -> Forged:
        """The error in the callee's place, and what makes the callee agree with it; a start-up is refused for good."""
        assert isinstance(turn, Question)
        return forged(self._talk, turn, answer, done=done)

    def hears(self, turn: Turn, code: str) -> bool:  # noqa: ARG002 - any SQLSTATE can be told
        """All but who asks to cancel."""
        return turn.replies

    def garbled(self, piece: Piece) -> bytes:
        """Messages of the same length that their receiver cannot read."""
        return garbled(piece)
