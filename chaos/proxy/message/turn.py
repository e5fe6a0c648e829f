"""Turns and pieces: how a connection's streams look to message faults, whatever the protocol. Pure.

A turn is one exchange: an HTTP request with its response, what stands under one Sync (or one simple query) of Postgres with everything up
to its ReadyForQuery, a NATS message with the message that answers it. Who asks is the caller (direction `>`), or, for a delivered NATS
message, the callee (`<`). A piece is a run of bytes of one turn, or of none.
"""

from __future__ import annotations

from enum import IntFlag
from typing import Any, NamedTuple, Protocol

from chaos.model.base import Data
from chaos.proxy.counting import Unit

__all__ = ["Answer", "Dialect", "Forged", "Part", "Piece", "Turn"]


class Part(IntFlag):
    """What a piece is of its turn. `ITEM`: the n-th row, event or chunk of the answer begins here (`Piece.item` says which)."""

    NONE = 0
    FIRST = 1  # the request begins, and holds all that the framer needs to name it
    LAST = 2  # the request is over
    REPLY = 4  # of the answer, not of the request
    DONE = 8  # the answer is over: the work was done
    ITEM = 16
    PAYLOAD = 32  # content, which may be garbled without breaking the framing
    ENDS = 64  # the item is over with this piece (else it is where the next one begins, or with the answer)
    ASKS = 128  # of no turn: the asker is asked for the rest of its request, and what is withheld must not stay behind


class Turn:
    """One exchange. `units` are what it consists of, as the framer named them (several statements under one Sync); `items` counts the
    items of its answer so far. `replies`: an answer is expected. `waits`: the rest of the request comes only when the asker is told so
    (`Expect: 100-continue`). `hidden`: nobody asked, the answer is for the director alone. `lasts`: it changes what the callee does from
    then on (a subscription), so that a connection that lost it is never again what its caller takes it for. What acts on it is the
    director's own business, in `plan`, and what may do so once an item of the answer begins, in `later`.
    """

    __slots__ = ("direction", "hidden", "items", "lasts", "later", "plan", "replies", "units", "waits")

    def __init__(self, direction: str, *, replies: bool = True, hidden: bool = False) -> None:
        self.direction = direction
        self.replies = replies
        self.hidden = hidden
        self.waits = self.lasts = False
        self.units: tuple[Unit, ...] = ()
        self.items = 0
        self.plan: object | None = None
        self.later: tuple[Any, ...] = ()

    def __repr__(self) -> str:
        named = ", ".join(unit.signature for unit in self.units)
        return f"<Turn {self.direction} {named or 'not named'} items={self.items}>"


class Piece(NamedTuple):
    """Bytes in order; `turn` is None for what belongs to no exchange and always passes.

    `item` counts from 1, 0 where there is none; the pieces of one item all bear its number, only the first has `Part.ITEM`.

    `answers`: these bytes are a whole message twice, the request of `turn` and the answer of another one, of which REPLY and DONE speak
    then (a NATS acknowledgement can be lost as a message of its own, and it answers a delivery). What takes it as an answer takes it first.
    """

    data: bytes
    turn: Turn | None = None
    part: Part = Part.NONE
    item: int = 0
    answers: Turn | None = None


class Answer(Data, frozen=True, kw_only=True):
    """What an `error` fault says: an HTTP status, an SQLSTATE, or a NATS error (`no-responders`, `-ERR text`), as text; `text` explains.

    `retry_after_ms` becomes a Retry-After header (HTTP).
    """

    code: str
    text: str = ""
    retry_after_ms: int = 0


class Forged(NamedTuple):
    """What is said in the callee's place: `to_asker` to who asked; `to_callee`, if not empty, goes on in the request's place and its answer
    is swallowed (a ROLLBACK for a COMMIT that is answered by an error): the dialect takes it for that of a hidden turn, in order behind
    what is under way. `closes`: the connection ends behind `to_asker`.
    """

    to_asker: bytes
    to_callee: bytes = b""
    closes: bool = False


class Dialect(Protocol):
    """One connection's cutter. It is fed all bytes from a moment on at which nothing was under way (`MessageFramer`s say when).

    Pieces joined give the bytes fed, in order, at every split of the streams: nothing is lost, nothing is made up. What cannot be cut
    (encrypted, garbage, an upgrade) passes from there on as pieces without a turn. So does, from the callee, what the asker waits for
    before it says the rest of its request (100 Continue, CopyInResponse): an answer may be withheld, this must not.
    """

    ordered: bool
    """Answers come in the order of the questions, so that a message cannot be left out alone (HTTP, Postgres; not NATS)."""
    has_items: bool
    """Answers consist of items that `during:n` can count."""

    @property
    def raw(self) -> bool:
        """Whether a direction cannot be cut any more."""

    def asked(self, data: bytes) -> list[Piece]:
        """Bytes from the caller. A message is kept back until it can be named."""

    def answered(self, data: bytes) -> list[Piece]:
        """Bytes from the callee."""

    def kept(self, direction: str) -> int:
        """Bytes kept back in that direction, bounded."""

    def give_up(self, direction: str) -> bytes:
        """What was kept back: the director leaves."""

    def ended(self, direction: str) -> list[Piece]:
        """The stream ended: what was kept back, and the end of an answer that reaches until then (a piece that may be empty)."""

    def amid(self, direction: str) -> bool:
        """Whether the pieces so far end in the midst of a message, so that nothing else may be said in that direction now."""

    def forget(self, turn: Turn) -> None:
        """Nothing of it was passed on, or nothing of it will be: no answer to it will come. `refusal` does so by itself."""

    def refusal(self, turn: Turn, answer: Answer, *, done: bool) -> Forged:
        """The error in the callee's place; `done`: the request was passed on and its answer is swallowed (all of it, or what is left)."""

    def hears(self, turn: Turn, code: str) -> bool:
        """Whether anybody would be told if that error were said to who asked."""

    def garbled(self, piece: Piece) -> bytes:
        """A payload of the same length that its receiver cannot read."""
