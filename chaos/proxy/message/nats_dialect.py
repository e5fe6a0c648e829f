"""NATS as turns and pieces: a message with a reply subject is answered by the first one the other way on that subject. Pure.

- A published message (`>`) and a delivered one (`<`) are turns, as are SUB, UNSUB and CONNECT, which nobody answers.
- An acknowledgement is a turn of its own and, `+WPI` apart, the answer of its delivery at the same time (`Piece.answers`).
- A pull is answered by a status (404, 408, 409) or not at all: what is delivered to its inbox is a turn each.
- INFO, PING, PONG, +OK, -ERR, heartbeats and flow control belong to no turn, nor does an answer to what was asked before the
  cutter came. A message longer than `MOST_BYTES` passes without a turn; as an answer it comes in several pieces.
"""

from __future__ import annotations

from collections.abc import Callable

from chaos.proxy.message.nats_answers import garbled, refuse_delivery, refuse_publication, server_error
from chaos.proxy.message.nats_lane import Cut, Message, NatsLane
from chaos.proxy.message.turn import Answer, Forged, Part, Piece, Turn
from chaos.wire.nats_subject import INBOX, JS_ACK, JS_FLOW, JS_PULL

__all__ = ["NatsDialect"]

_OPEN_LIMIT = 1_024
_IN_PROGRESS = b"+WPI"
_IDLE = b"NATS/1.0 100"
_WHOLE = Part.FIRST | Part.LAST
_ANSWER = Part.REPLY | Part.DONE


class NatsTurn(Turn):
    """`subject` is empty for what is no message; `reply` is where its answer goes. A pull has none of its own unless nothing is delivered."""

    __slots__ = ("reply", "subject")

    def __init__(self, direction: str, subject: bytes = b"", reply: bytes = b"") -> None:
        super().__init__(direction, replies=bool(reply) and not subject.startswith(JS_PULL))
        self.subject = subject
        self.reply = reply


class NatsDialect:
    """One connection's cutter. `subscription` tells the sid under which the caller hears a subject (`NatsFramer.subscription`)."""

    ordered = False
    has_items = False

    def __init__(self, subscription: Callable[[bytes], bytes | None]) -> None:
        self._subscription = subscription
        self._lanes = {">": NatsLane(">"), "<": NatsLane("<")}
        # Turns by reply subject that wait for an answer, oldest first: those of each direction.
        self._open: dict[str, dict[bytes, NatsTurn]] = {">": {}, "<": {}}
        self._long: dict[str, Turn | None] = {">": None, "<": None}

    def __repr__(self) -> str:
        waiting = " ".join(f"{direction}{len(turns)}" for direction, turns in self._open.items())
        return f"<NatsDialect {'raw' if self.raw else 'cutting'} open {waiting}>"

    @property
    def raw(self) -> bool:
        """Whether a direction cannot be cut any more."""
        return any(lane.raw for lane in self._lanes.values())

    def asked(self, data: bytes) -> list[Piece]:
        """Bytes from the caller."""
        return self._pieces(">", data)

    def answered(self, data: bytes) -> list[Piece]:
        """Bytes from the callee."""
        return self._pieces("<", data)

    def kept(self, direction: str) -> int:
        """Bytes kept back in that direction: at most `MOST_BYTES` and a line."""
        return self._lanes[direction].kept

    def give_up(self, direction: str) -> bytes:
        """What was kept back."""
        return self._lanes[direction].give_up()

    def ended(self, direction: str) -> list[Piece]:
        """What was kept back: half a message is of no turn."""
        kept = self._lanes[direction].give_up()
        return [Piece(kept)] if kept else []

    def amid(self, direction: str) -> bool:
        """Only INFO and what is too long to be kept back come in pieces."""
        return self._lanes[direction].amid

    def forget(self, turn: Turn) -> None:
        """No answer to it will come."""
        waiting = self._open[turn.direction]
        if isinstance(turn, NatsTurn) and waiting.get(turn.reply) is turn:
            del waiting[turn.reply]

    def refusal(self, turn: Turn, answer: Answer, *, done: bool) -> Forged:  # noqa: ARG002 - the same before and after
        """The error in the callee's place; nothing is said where nobody could hear it."""
        self.forget(turn)
        subject, reply = (turn.subject, turn.reply) if isinstance(turn, NatsTurn) else (b"", b"")
        if turn.direction == "<":
            return Forged(refuse_delivery(reply, answer) if reply else b"")
        if not reply or answer.code.startswith("-ERR"):
            return server_error(answer)
        sid = self._subscription(reply)
        return Forged(b"" if sid is None else refuse_publication(subject, reply, sid, answer))

    def hears(self, turn: Turn, code: str) -> bool:
        """Who published to an inbox that it is known to hear, or is told -ERR; who sent a delivery and wants an answer."""
        reply = turn.reply if isinstance(turn, NatsTurn) else b""
        if turn.direction == "<":
            return bool(reply)
        return not reply or code.startswith("-ERR") or self._subscription(reply) is not None

    def garbled(self, piece: Piece) -> bytes:
        """The message with a payload that is neither JSON nor MessagePack nor text."""
        return garbled(piece.data)

    # -- one direction ----------------------------------------------------------------------------------------------

    def _pieces(self, direction: str, data: bytes) -> list[Piece]:
        lane = self._lanes[direction]
        if self.raw:
            rest = lane.give_up() + data
            return [Piece(rest)] if rest else []
        return [self._piece(direction, cut) for cut in lane.feed(data)]

    def _piece(self, direction: str, cut: Cut) -> Piece:
        message = cut.message
        if message is None:
            return _line(cut, NatsTurn(direction)) if cut.named else Piece(cut.data)
        if not (cut.first and cut.last):
            return self._piece_of_long(direction, cut, message)
        asked = self._open[_back(direction)]
        if message.subject.startswith(JS_ACK):
            return self._acknowledgement(direction, cut.data, message, asked)
        if cut.data.startswith(_IDLE, message.body, message.payload) or message.subject.startswith(JS_FLOW):
            return Piece(cut.data)
        content = _content(message)
        turn = asked.pop(message.subject, None)
        if turn is not None:
            return Piece(cut.data, turn, _ANSWER | content)
        if message.subject.startswith(INBOX):
            return Piece(cut.data)
        return Piece(cut.data, self._begin(direction, message), _WHOLE | content)

    def _acknowledgement(self, direction: str, data: bytes, message: Message, asked: dict[bytes, NatsTurn]) -> Piece:
        own, part = self._begin(direction, message), _WHOLE | _content(message)
        words = data[message.payload : message.stop - 2].split(maxsplit=1)
        delivery = None if words and words[0].upper() == _IN_PROGRESS else asked.pop(message.subject, None)
        return Piece(data, own, part) if delivery is None else Piece(data, own, part | _ANSWER, answers=delivery)

    def _piece_of_long(self, direction: str, cut: Cut, message: Message) -> Piece:
        if cut.first:
            self._long[direction] = self._open[_back(direction)].pop(message.subject, None)
        turn = self._long[direction]
        if turn is None:
            return Piece(cut.data)
        return Piece(cut.data, turn, _ANSWER if cut.last else Part.REPLY)

    def _begin(self, direction: str, message: Message) -> NatsTurn:
        turn = NatsTurn(direction, message.subject, message.reply)
        if message.reply:
            waiting = self._open[direction]
            if waiting.pop(message.reply, None) is None and len(waiting) >= _OPEN_LIMIT:
                del waiting[next(iter(waiting))]
            waiting[message.reply] = turn
        return turn


def _line(cut: Cut, turn: NatsTurn) -> Piece:
    """SUB, UNSUB or CONNECT."""
    turn.lasts = cut.data[:1] not in b"Cc"
    return Piece(cut.data, turn, _WHOLE)


def _back(direction: str) -> str:
    return "<" if direction == ">" else ">"


def _content(message: Message) -> Part:
    return Part.PAYLOAD if message.stop - 2 > message.payload else Part.NONE
