"""One direction of a NATS connection cut into lines and whole messages (NATS client protocol; ADR-4 for headers). Pure.

It takes for a message what `chaos.wire.NatsFramer` takes for one, so that each message it cuts is one that the framer names.
"""

from __future__ import annotations

from typing import NamedTuple

from chaos.wire.messages import MAX_MESSAGE_BYTES
from chaos.wire.nats import MAX_LINE_BYTES

__all__ = ["MOST_BYTES", "Cut", "Message", "NatsLane"]

MOST_BYTES = (1 << 20) + 65_536
"""A message longer than what servers take by default (`max_payload` 1 MiB, headers included) is not kept back."""

_INFO = b"INFO "
_FIRST_BYTES = {">": frozenset(b"PpHhSsUuCc+-\r\n"), "<": frozenset(b"MmHhIiPp+-\r\n")}
_QUIET = {">": frozenset((b"PING", b"PONG")), "<": frozenset((b"INFO", b"PING", b"PONG", b"+OK", b"-ERR"))}
_MESSAGES = {">": {b"PUB": (3, False), b"HPUB": (4, True)}, "<": {b"MSG": (4, False), b"HMSG": (5, True)}}
_LINES = {b"CONNECT": (1, 1 << 30), b"SUB": (3, 4), b"UNSUB": (2, 3)}
_REPLY_AT = {">": 2, "<": 3}


class Message(NamedTuple):
    """What stands in a message's line. `body` is where headers begin, `payload` where the payload does, `stop` where the message ends."""

    subject: bytes
    reply: bytes
    body: int
    payload: int
    stop: int


class Cut(NamedTuple):
    """Bytes in order: a message, the whole of it unless it is longer than `MOST_BYTES`; a line that is `named`; or what belongs to nothing."""

    data: bytes
    message: Message | None = None
    first: bool = True
    last: bool = True
    named: bool = False


class NatsLane:
    """Never raises. `raw`: what came cannot be cut, and all that follows passes as it is."""

    __slots__ = ("_direction", "_in_info", "_kept", "_long", "_need", "_skip", "raw")

    def __init__(self, direction: str) -> None:
        self._direction = direction
        self._kept = bytearray()
        self._need = 0  # bytes that make what is kept whole, 0 if that is not known
        self._skip = 0  # bytes of a long message still to come
        self._long: Message | None = None
        self._in_info = False
        self.raw = False

    @property
    def kept(self) -> int:
        """Bytes kept back."""
        return len(self._kept)

    @property
    def amid(self) -> bool:
        """Whether what was cut so far ends in the midst of a message or line."""
        return bool(self._skip) or self._in_info

    def give_up(self) -> bytes:
        """What was kept back; nothing of it will be cut."""
        kept, self._need = bytes(self._kept), 0
        self._kept.clear()
        return kept

    def feed(self, data: bytes) -> list[Cut]:
        """What is whole now."""
        if self._kept:
            self._kept += data
            if len(self._kept) < self._need:
                return []
            data = self.give_up()
        cuts: list[Cut] = []
        start = 0
        while start < len(data) and not self.raw:
            cut = self._next(data, start)
            if cut is None:
                break
            cuts.append(cut)
            start += len(cut.data)
        if start < len(data):
            if self.raw:
                cuts.append(Cut(data[start:]))
            else:
                self._kept += data[start:]
        return cuts

    def _next(self, data: bytes, start: int) -> Cut | None:
        """What begins there; None if it is not whole or, then `raw` is set, nothing known."""
        if self._skip:
            return self._rest_of_long(data, start)
        eol = data.find(b"\n", start)
        if self._in_info or (data[start : start + 5].upper() == _INFO and self._direction == "<"):
            self._in_info = eol < 0
            return Cut(data[start:] if eol < 0 else data[start : eol + 1])
        if eol < 0:
            self.raw = data[start] not in _FIRST_BYTES[self._direction] or len(data) - start > MAX_LINE_BYTES
            return None
        return self._line(data, start, eol + 1)

    def _line(self, data: bytes, start: int, body: int) -> Cut | None:
        args = data[start:body].split()
        verb = args[0].upper() if args else b""
        if not args or verb in _QUIET[self._direction]:
            return Cut(data[start:body])
        if verb in _MESSAGES[self._direction]:
            fewest, headers = _MESSAGES[self._direction][verb]
            message = self._message(args, body - start, fewest, headers=headers)
            return None if message is None else self._whole(data, start, message)
        if self._direction == ">" and verb in _LINES:
            fewest, most = _LINES[verb]
            if fewest <= len(args) <= most:
                return Cut(data[start:body], named=True)
        self.raw = True
        return None

    def _message(self, args: list[bytes], body: int, fewest: int, *, headers: bool) -> Message | None:
        size, head = args[-1], args[-2] if headers else b"0"
        fits = fewest <= len(args) <= fewest + 1 and size.isdigit() and head.isdigit() and len(size) <= 10
        total, length = (int(size), int(head) if len(head) < 10 else 0) if fits else (0, 1)
        if total > MAX_MESSAGE_BYTES or length > total:
            self.raw = True
            return None
        reply = args[_REPLY_AT[self._direction]] if len(args) > fewest else b""
        return Message(args[1], reply, body, body + length, body + total + 2)

    def _whole(self, data: bytes, start: int, message: Message) -> Cut | None:
        if message.stop > MOST_BYTES:
            self._skip, self._long = message.stop - message.body, message
            return Cut(data[start : start + message.body], message, last=False)
        if len(data) - start < message.stop:
            self._need = message.stop
            return None
        return Cut(data[start : start + message.stop], message)

    def _rest_of_long(self, data: bytes, start: int) -> Cut:
        piece = data[start : start + self._skip]
        self._skip -= len(piece)
        return Cut(piece, self._long, first=False, last=not self._skip)
