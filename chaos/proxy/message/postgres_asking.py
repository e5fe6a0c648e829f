"""What the caller sends, cut into pieces: first packets, groups of messages up to their Sync, query or Flush, COPY data. Pure.

PostgreSQL 18 documentation, chapter 54. A group is kept back until it is complete, up to `KEPT_BYTES`: a longer one goes on as it comes,
and what of it was complete by then is its name. COPY data is not kept back.
"""

from __future__ import annotations

from struct import Struct

from chaos.proxy.message.postgres_talk import Ends, Question, Talk, take
from chaos.proxy.message.turn import Part, Piece
from chaos.wire.messages import MAX_MESSAGE_BYTES

__all__ = ["KEPT_BYTES", "Asking"]

KEPT_BYTES = 1 << 20

_HEAD = Struct(">BI").unpack_from
_FIRST = Struct(">II").unpack_from
_MAX_FIRST = 10_000  # the server's own limit for a start-up packet
_CANCEL, _SSL, _GSSAPI = 80_877_102, 80_877_103, 80_877_104
_TLS_RECORD = 0x16
_SYNC, _FLUSH = ord("S"), ord("H")
_ANSWERED = frozenset(b"PBDCE")  # one answer each, or an error
_CLOSING = frozenset(b"SHQF")
_COPY = frozenset(b"dcf")
_COPY_ENDS = frozenset(b"cf")
_ALONE = frozenset(b"pX")  # passwords belong to no question: whoever asked for one waits; Terminate is not answered
_KINDS = _ANSWERED | _CLOSING | _COPY | _ALONE
_WHOLE = Part.FIRST | Part.LAST | Part.PAYLOAD


class Asking:
    """The caller's direction."""

    __slots__ = ("_asked", "_buffer", "_last", "_open", "_passing", "_rest", "_seen", "_talk")

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self._buffer = bytearray()
        self._seen = 0  # so much of the buffer are whole messages of the group
        self._asked = 0  # how many of them are answered
        self._open: Question | None = None  # a group too long to be kept back
        self._rest = 0  # bytes still to come of a message that is passed on as it comes
        self._passing: Question | None = None  # whose they are
        self._last = False  # and whether they are the end of the question

    @property
    def kept(self) -> int:
        """Bytes kept back."""
        return len(self._buffer)

    @property
    def amid(self) -> bool:
        """Whether a message, a long group, or COPY data is under way."""
        return self._rest > 0 or self._open is not None or self._talk.copying is not None

    def give_up(self) -> bytes:
        """What was kept back."""
        self._seen = 0
        return self._take(len(self._buffer))

    def feed(self, data: bytes) -> list[Piece]:
        """What can go on."""
        self._buffer += data
        pieces: list[Piece] = []
        while self._buffer and (piece := self._next()) is not None:
            pieces.append(piece)
        return pieces

    def _next(self) -> Piece | None:
        if self._talk.raw:
            return Piece(self._take(len(self._buffer)))
        if self._rest:
            return self._continue()
        if self._talk.encrypting:  # nobody goes on before the answer
            return self._raw()
        return self._messages() if self._talk.opened else self._first_packet()

    def _first_packet(self) -> Piece | None:
        buffer, talk = self._buffer, self._talk
        if buffer[0] == _TLS_RECORD:  # TLS without asking
            return self._raw()
        if len(buffer) < 8:
            return None
        size, code = _FIRST(buffer)
        if not 8 <= size <= _MAX_FIRST or (code >> 16 != 3 and code not in {_CANCEL, _SSL, _GSSAPI}):
            return self._raw()
        if len(buffer) < size:
            return None
        if code in {_SSL, _GSSAPI}:
            talk.encrypting = True
            return Piece(self._take(size))
        talk.opened = True
        question = Question(Ends.NEVER if code == _CANCEL else Ends.STARTUP)
        if question.replies:
            talk.ask(question)
        return Piece(self._take(size), question, _WHOLE)

    def _messages(self) -> Piece | None:
        """Look at one message after the other until something can go on."""
        buffer = self._buffer
        while len(buffer) - self._seen >= 5:
            kind, size = _HEAD(buffer, self._seen)
            if kind not in _KINDS or not 4 <= size <= MAX_MESSAGE_BYTES:
                return self._raw()
            stop = self._seen + 1 + size
            if kind in _COPY or kind in _ALONE:
                return self._close(Ends.FLUSH) if self._seen else self._pass_alone(kind, stop)
            if stop > len(buffer):
                if self._open is None and len(buffer) <= KEPT_BYTES:
                    return None
                return self._begin_long(kind, stop)
            self._count(kind)
            self._seen = stop
            if kind in _CLOSING:
                return self._closed(kind)
        return self._begin_long(0, self._seen) if self._seen and (self._open or self._seen > KEPT_BYTES) else None

    def _count(self, kind: int) -> None:
        if kind in _ANSWERED:
            self._asked += 1
            if self._open is not None:
                self._open.asked += 1

    def _closed(self, kind: int) -> Piece:
        """The group ends with what was seen."""
        talk = self._talk
        if self._seen == 5 and self._open is None and kind in {_SYNC, _FLUSH}:  # nothing but a Sync or a Flush
            copy = talk.copying
            if copy is not None and (not talk.copied or (copy.sync and kind == _SYNC)):
                # During COPY the callee passes over both, so that the Sync sent with the question is lost and sent again.
                if talk.copied:
                    talk.copying = None
                return Piece(self._take(5), copy)
            if kind == _FLUSH:
                return Piece(self._take(5))
        return self._close(Ends.FLUSH if kind == _FLUSH else Ends.READY, sync=kind == _SYNC)

    def _close(self, ends: Ends, *, sync: bool = False) -> Piece:
        question, part = self._open, Part.LAST
        if question is None:
            question, part = self._ask(ends), _WHOLE
        self._end(question, ends, sync=sync)
        return Piece(self._take(self._seen), question, part)

    def _end(self, question: Question, ends: Ends, *, sync: bool) -> None:
        question.ends, question.sync = ends, sync
        self._talk.behind = ends is Ends.FLUSH
        self._open, self._asked = None, 0

    def _ask(self, ends: Ends) -> Question:
        question = Question(ends, behind=self._talk.behind)
        question.asked = self._asked
        self._talk.ask(question)
        return question

    def _begin_long(self, kind: int, stop: int) -> Piece:
        """Pass on what is there of a group too long to be kept back; its message of that type, if any, ends at `stop`."""
        question, part = self._open, Part.NONE
        if question is None:
            question, part = self._ask(Ends.OPEN), Part.FIRST | Part.PAYLOAD
        self._open = question
        nbytes = min(stop, len(self._buffer))
        self._rest, self._passing, self._last = stop - nbytes, question, False
        if kind:
            self._count(kind)
        if kind in _CLOSING:
            self._last = True
            self._end(question, Ends.FLUSH if kind == _FLUSH else Ends.READY, sync=kind == _SYNC)
        return Piece(self._take(nbytes), question, part)

    def _pass_alone(self, kind: int, stop: int) -> Piece:
        """COPY data as it comes, message after message at once; passwords; the end."""
        buffer, talk = self._buffer, self._talk
        question = None
        if kind in _COPY:
            if talk.copying is None and talk.questions:  # it does not wait for the callee to agree
                talk.copying, talk.copied = talk.questions[-1], False
            question = talk.copying
            while kind == ord("d") and len(buffer) - stop >= 5 and buffer[stop] == kind:
                size = _HEAD(buffer, stop)[1]
                if not 4 <= size <= MAX_MESSAGE_BYTES:
                    break
                stop += 1 + size
            talk.copied = talk.copied or kind in _COPY_ENDS
        nbytes = min(stop, len(buffer))
        self._rest, self._passing, self._last = stop - nbytes, question, False
        return Piece(self._take(nbytes), question)

    def _continue(self) -> Piece:
        nbytes = min(self._rest, len(self._buffer))
        self._rest -= nbytes
        part = Part.LAST if self._last and not self._rest else Part.NONE
        return Piece(self._take(nbytes), self._passing, part)

    def _raw(self) -> Piece:
        self._talk.raw = True
        return Piece(self._take(len(self._buffer)))

    def _take(self, nbytes: int) -> bytes:
        self._seen = 0
        return take(self._buffer, nbytes)
