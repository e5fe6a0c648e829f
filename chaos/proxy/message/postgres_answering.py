"""What the callee sends, cut into pieces: whose answer each message is, which are rows, and where an answer ends. Pure.

PostgreSQL 18 documentation, chapter 54. Answers come in the order of the questions. A row longer than what is there goes on in parts. What
asks the caller for more (a password, COPY data) belongs to no turn, or whoever withholds an answer would wait for ever.
"""

from __future__ import annotations

from struct import Struct

from chaos.proxy.message.postgres_talk import Ends, Question, Talk, take
from chaos.proxy.message.turn import Part, Piece
from chaos.wire.messages import MAX_MESSAGE_BYTES

__all__ = ["Answering"]

_HEAD = Struct(">BI").unpack_from
_CODE = Struct(">I").unpack_from
_WHOLE_BYTES = 65_536  # longer messages are no rows, and garbling them is not worth the memory
_RUN_BYTES = 4_096
_ITEMS = frozenset(b"Dd")
_FIRST_ONES = frozenset(b"123nt")  # what may come before CopyInResponse under one Sync, and is short
_ENDS_ONE = frozenset(b"123nTCIs")  # each the answer to one message
_PAYLOAD = frozenset(b"TCRV")
_ASKS = ord("G")  # CopyInResponse
_KINDS = _ITEMS | _ENDS_ONE | frozenset(b"tAcEGHKNRSVWvZ")
_NO = ord("N")
_OVER = Part.REPLY | Part.DONE
_TEXT = Part.REPLY | Part.PAYLOAD
_AT_LAST = Part.DONE | Part.ENDS


class Answering:
    """The callee's direction."""

    __slots__ = ("_buffer", "_item", "_last", "_passing", "_rest", "_talk")

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self._buffer = bytearray()
        self._rest = 0  # bytes still to come of a message that is passed on as it comes
        self._passing: Question | None = None  # whose they are, what their last part is, of which item
        self._last = Part.NONE
        self._item = 0

    @property
    def kept(self) -> int:
        """Bytes kept back."""
        return len(self._buffer)

    @property
    def amid(self) -> bool:
        """Whether a message is under way."""
        return self._rest > 0

    def give_up(self) -> bytes:
        """What was kept back."""
        return take(self._buffer, len(self._buffer))

    def feed(self, data: bytes) -> list[Piece]:
        """What can go on."""
        self._buffer += data
        pieces: list[Piece] = []
        while self._buffer and (piece := self._next()) is not None:
            if self._talk.skipped:
                pieces += [Piece(b"", question, _OVER) for question in self._talk.skipped]
                self._talk.skipped.clear()
            pieces.append(piece)
        return pieces

    def _next(self) -> Piece | None:
        talk = self._talk
        if talk.raw:
            return Piece(take(self._buffer, len(self._buffer)))
        if self._rest:
            return self._continue()
        if talk.encrypting:
            if self._buffer[0] != _NO:
                return self._raw()
            talk.encrypting = False
            return Piece(take(self._buffer, 1))
        return self._message() if len(self._buffer) >= 5 else None

    def _message(self) -> Piece | None:
        buffer = self._buffer
        kind, size = _HEAD(buffer)
        if kind not in _KINDS or not 4 <= size <= MAX_MESSAGE_BYTES or kind == ord("W"):  # replication has no turns
            return self._raw()
        size += 1
        question = self._talk.current()
        if question is not None and kind in _ITEMS:
            return self._items(kind, size, question)
        if question is not None and kind in _FIRST_ONES and size <= _RUN_BYTES:
            return self._first_ones(question)
        if len(buffer) < size <= _WHOLE_BYTES:
            return None
        turn, part = self._place(kind, size, question)
        return self._begin(size, turn, part if size <= _WHOLE_BYTES else part & ~Part.PAYLOAD)

    def _items(self, kind: int, stop: int, question: Question) -> Piece:
        """A row; all that are there if no fault counts them."""
        buffer = self._buffer
        question.items += 1
        while question.plan is None and not question.later and len(buffer) - stop >= 5 and buffer[stop] == kind:
            size = _HEAD(buffer, stop)[1]
            if not 4 <= size <= MAX_MESSAGE_BYTES:
                break
            question.items += 1
            stop += 1 + size
        return self._begin(stop, question, _TEXT, item=question.items)

    def _place(self, kind: int, size: int, question: Question | None) -> tuple[Question | None, Part]:
        """Whose message it is, and what of the answer."""
        talk = self._talk
        if kind == ord("Z"):
            return self._ready(size)
        if question is None or kind == ord("A") or (question.hidden and kind == ord("S")):
            return None, Part.NONE
        if question.ends is Ends.STARTUP:
            return self._starting(kind, size, question)
        if kind == _ASKS:
            talk.copying, talk.copied = question, False
            return None, Part.ASKS
        part = _TEXT if kind in _PAYLOAD else Part.REPLY
        return question, part | self._answered(kind, question)

    def _answered(self, kind: int, question: Question) -> Part:
        """Count it; `DONE` if it ends a portion's answer."""
        talk = self._talk
        if kind == ord("E"):
            talk.failed = True
        elif kind in _ENDS_ONE:
            question.answered += 1
        if question.ends is not Ends.FLUSH or (question.answered < question.asked and kind != ord("E")):
            return Part.NONE
        talk.finish(question, talk.state)
        return Part.DONE

    def _ready(self, size: int) -> tuple[Question | None, Part]:
        talk = self._talk
        talk.failed = False
        state, before = chr(self._buffer[5]) if size == 6 else "", talk.state
        talk.state = state = state if state and state in "ITE" else before
        question = next((one for one in talk.questions if one.ends is Ends.READY or one.ends is Ends.STARTUP), None)
        if question is None:
            return None, Part.NONE
        question.before = before
        talk.finish(question, state)
        return question, _OVER

    def _starting(self, kind: int, size: int, question: Question) -> tuple[Question | None, Part]:
        if kind == ord("E"):
            self._talk.finish(question, self._talk.state)
            return question, _OVER
        if kind == ord("R") and 9 <= size <= _WHOLE_BYTES and _CODE(self._buffer, 5)[0] == 0:
            question.authenticated = True
            return question, _TEXT
        return (question, Part.REPLY) if question.authenticated else (None, Part.NONE)

    def _first_ones(self, question: Question) -> Piece | None:
        """A run of messages which, with CopyInResponse behind them, belong to no turn; None until that is clear."""
        buffer = self._buffer
        stop, most = 0, question.asked - question.answered if question.ends is Ends.FLUSH else _RUN_BYTES
        left = most
        while left and stop < _RUN_BYTES:
            if len(buffer) == stop or (buffer[stop] in _FIRST_ONES and len(buffer) - stop < 5):
                return None
            if buffer[stop] not in _FIRST_ONES:
                break
            size = _HEAD(buffer, stop)[1]
            if not 4 <= size < _RUN_BYTES:
                break
            if len(buffer) - stop <= size:
                return None
            left -= buffer[stop] in _ENDS_ONE
            stop += 1 + size
        question.answered += most - left
        if left and stop < len(buffer) and buffer[stop] == _ASKS:
            return Piece(take(self._buffer, stop))
        if not left:
            self._talk.finish(question, self._talk.state)
        return Piece(take(self._buffer, stop), question, Part.REPLY if left else _OVER)

    def _begin(self, size: int, turn: Question | None, part: Part, *, item: int = 0) -> Piece:
        """A message, or as much of it as there is."""
        nbytes = min(size, len(self._buffer))
        self._rest = size - nbytes
        self._last = part | Part.ENDS if item else part
        self._passing, self._item = turn, item
        part = self._last & ~_AT_LAST if self._rest else self._last
        return Piece(take(self._buffer, nbytes), turn, part | Part.ITEM if item else part, item)

    def _continue(self) -> Piece:
        nbytes = min(self._rest, len(self._buffer))
        self._rest -= nbytes
        part = self._last & ~_AT_LAST if self._rest else self._last
        return Piece(take(self._buffer, nbytes), self._passing, part, self._item)

    def _raw(self) -> Piece:
        self._talk.raw = True
        return Piece(take(self._buffer, len(self._buffer)))
