"""Bodies of HTTP/1.1 messages cut into what is content and what frames it (RFC 9112, sections 6 and 7). Pure."""

from __future__ import annotations

from enum import Enum, auto
from typing import NamedTuple, Protocol

from chaos.wire import http1_body
from chaos.wire.http1_body import EMPTY_LINES, MAX_LINE, chunk_size
from chaos.wire.http1_head import MAX_HEAD

__all__ = ["Bit", "Body", "ChunkedBody", "Kind", "LengthBody", "UntilCloseBody"]


class Kind(Enum):
    """What a bit of a body is."""

    SIZE = auto()  # the line that begins a chunk
    DATA = auto()
    FRAME = auto()  # what is behind a chunk, the last size line, trailers


class Bit(NamedTuple):
    """`data[start:stop]` of what was cut."""

    start: int
    stop: int
    kind: Kind


class Body(Protocol):
    """One body on its way. `done` behind its last byte; `bad` once it cannot be cut any further."""

    done: bool
    bad: bool

    def cut(self, data: bytes, pos: int) -> list[Bit]:
        """The bits of `data[pos:]`, in order; what is not in them is behind the body, or the beginning of a line."""


class LengthBody(http1_body.LengthBody):
    """A body of a known length."""

    __slots__ = ()

    def cut(self, data: bytes, pos: int) -> list[Bit]:
        """At most what is left."""
        stop = self.advance(data, pos, None)
        return [Bit(pos, stop, Kind.DATA)] if stop > pos else []


class UntilCloseBody(http1_body.UntilCloseBody):
    """The body of a reply without a length: it ends with the stream."""

    __slots__ = ()

    def cut(self, data: bytes, pos: int) -> list[Bit]:
        """Everything."""
        return [Bit(pos, len(data), Kind.DATA)] if pos < len(data) else []


class ChunkedBody:
    """A chunked body with its trailers. A line that is not complete is left to come again."""

    __slots__ = ("_behind", "_last", "_left", "_trailer_bytes", "bad", "done")

    def __init__(self) -> None:
        self.done = self.bad = False
        self._left = 0
        self._behind = False  # data is over, the end of its line is not
        self._last = False  # trailers follow
        self._trailer_bytes = 0

    def cut(self, data: bytes, pos: int) -> list[Bit]:
        """Chunks, up to the empty line after the last one."""
        bits: list[Bit] = []
        end = len(data)
        while pos < end and not self.done and not self.bad:
            if self._left:
                stop = min(pos + self._left, end)
                self._left -= stop - pos
                self._behind = self._left == 0
                bits.append(Bit(pos, stop, Kind.DATA))
                pos = stop
                continue
            newline = data.find(b"\n", pos)
            if (end if newline < 0 else newline) - pos > MAX_LINE:
                self.bad = True
            if newline < 0 or self.bad:
                break
            kind = self._line(data[pos : newline + 1])
            if not self.bad:
                bits.append(Bit(pos, newline + 1, kind))
            pos = newline + 1
        return bits

    def _line(self, line: bytes) -> Kind:
        if self._last:
            self._trailer_bytes += len(line)
            self.done = line in EMPTY_LINES
            self.bad = self._trailer_bytes > MAX_HEAD
        elif self._behind:
            self._behind = False
            self.bad = line not in EMPTY_LINES
        else:
            size = chunk_size(line)
            self.bad = size is None
            self._left = size or 0
            self._last = self._left == 0
            return Kind.FRAME if self._last else Kind.SIZE
        return Kind.FRAME
