"""Bodies of HTTP/1.1 messages (RFC 9112, sections 6 and 7): how far each reaches, without keeping it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Protocol

from chaos.wire.http1_head import MAX_HEAD

__all__ = ["EMPTY_LINES", "MAX_LINE", "Body", "ChunkedBody", "LengthBody", "See", "UntilCloseBody", "chunk_size"]

See = Callable[[bytes, int, int], None]
"""Is shown the payload `data[start:stop]` of a body, piece by piece."""

_SIZE, _AFTER_DATA, _TRAILER = range(3)  # what the next line of a chunked body is
EMPTY_LINES = (b"\r\n", b"\n")
MAX_LINE = 8_192
_SIZE_LINE = re.compile(rb"[ \t]*([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?\r?\n")


class Body(Protocol):
    """One body being passed. `done` after its last byte; `bad` once it cannot be framed."""

    done: bool
    bad: bool

    def advance(self, data: bytes, pos: int, see: See | None) -> int:
        """Pass over what of `data[pos:]` belongs to the body and answer where that ends."""


class LengthBody:
    """A body of a known length."""

    __slots__ = ("_left", "bad", "done")

    def __init__(self, length: int) -> None:
        self._left = length
        self.done = length == 0
        self.bad = False

    def advance(self, data: bytes, pos: int, see: See | None) -> int:
        """Pass over at most what is left."""
        stop = min(pos + self._left, len(data))
        if see is not None and stop > pos:
            see(data, pos, stop)
        self._left -= stop - pos
        self.done = self._left == 0
        return stop


class UntilCloseBody:
    """The body of a reply without a length: it ends with the stream."""

    __slots__ = ("bad", "done")

    def __init__(self) -> None:
        self.done = self.bad = False

    def advance(self, data: bytes, pos: int, see: See | None) -> int:
        """Pass over everything."""
        if see is not None and pos < len(data):
            see(data, pos, len(data))
        return len(data)


class ChunkedBody:
    """A chunked body with its trailers. Only the bytes of an unfinished line are kept."""

    __slots__ = ("_left", "_line", "_step", "_trailer_bytes", "bad", "done")

    def __init__(self) -> None:
        self.done = self.bad = False
        self._left = 0
        self._line = b""
        self._trailer_bytes = 0
        self._step = _SIZE

    def advance(self, data: bytes, pos: int, see: See | None) -> int:
        """Pass over chunks until the empty line after the last one."""
        end = len(data)
        while pos < end and not self.done and not self.bad:
            if self._left:
                stop = min(pos + self._left, end)
                if see is not None:
                    see(data, pos, stop)
                self._left -= stop - pos
                pos = stop
            else:
                pos = self._take_line(data, pos, end)
        return pos

    def _take_line(self, data: bytes, pos: int, end: int) -> int:
        newline = data.find(b"\n", pos)
        stop = newline + 1 if newline >= 0 else end
        if len(self._line) + stop - pos > MAX_LINE:
            self.bad = True
        elif newline < 0:
            self._line += data[pos:]
        else:
            line, self._line = self._line + data[pos:stop], b""
            self._act_on(line)
        return stop

    def _act_on(self, line: bytes) -> None:
        if self._step == _SIZE:
            size = chunk_size(line)
            self.bad = size is None
            self._left = size or 0
            self._step = _AFTER_DATA if self._left else _TRAILER
        elif self._step == _AFTER_DATA:
            self.bad = line not in EMPTY_LINES
            self._step = _SIZE
        else:
            self._trailer_bytes += len(line)
            self.done = line in EMPTY_LINES
            self.bad = self._trailer_bytes > MAX_HEAD


def chunk_size(line: bytes) -> int | None:
    """What the line that begins a chunk says; None if it says nothing."""
    match = _SIZE_LINE.fullmatch(line)
    return None if match is None else int(match[1], 16)
