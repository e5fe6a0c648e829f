"""Items of an HTTP answer, which `during:n` counts: events of an event stream, chunks of a chunked body, else blocks of 16 KiB. Pure.

An event ends behind its blank line (LF or CR LF), wherever chunks and reads begin and end; blank lines between events belong to the
next one. With it goes the size line of a chunk that begins with it.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from chaos.proxy.message.http_body import Kind
from chaos.proxy.message.turn import Part

__all__ = ["BLOCK_BYTES", "Blocks", "Chunks", "Events", "Items", "Share"]

BLOCK_BYTES = 16 * 1024


class Share(NamedTuple):
    """Bytes of a body that belong to one item, or to none (0)."""

    data: bytes
    part: Part
    item: int


class Items(Protocol):
    """The items of one body. `count`: those that have begun."""

    count: int

    def share(self, data: bytes, kind: Kind) -> list[Share]:
        """A bit of the body, shared out."""


class Chunks:
    """Each chunk is an item, its framing included."""

    __slots__ = ("_open", "count")

    def __init__(self) -> None:
        self.count = 0
        self._open = False

    def share(self, data: bytes, kind: Kind) -> list[Share]:
        """A bit belongs to one chunk."""
        if kind is Kind.SIZE:
            self.count += 1
            self._open = True
            return [Share(data, Part.ITEM, self.count)]
        if kind is Kind.DATA:
            return [Share(data, Part.PAYLOAD, self.count)]
        ends = self._open
        self._open = False
        return [Share(data, Part.ENDS, self.count)] if ends else [Share(data, Part.NONE, 0)]


class Blocks:
    """So many bytes of content are an item."""

    __slots__ = ("_at", "count")

    def __init__(self) -> None:
        self.count = 0
        self._at = 0

    def share(self, data: bytes, kind: Kind) -> list[Share]:
        """Content is cut at multiples of the size."""
        if kind is not Kind.DATA:
            return [Share(data, Part.NONE, self.count)]
        shares: list[Share] = []
        pos = 0
        while pos < len(data):
            part = Part.PAYLOAD
            if self._at == 0:
                self.count += 1
                part |= Part.ITEM
            stop = min(len(data), pos + BLOCK_BYTES - self._at)
            self._at = (self._at + stop - pos) % BLOCK_BYTES
            if self._at == 0:
                part |= Part.ENDS
            shares.append(Share(data[pos:stop], part, self.count))
            pos = stop
        return shares


class Events:
    """Each event of an event stream is an item."""

    __slots__ = ("_begun", "_content", "_in_line", "count")

    def __init__(self) -> None:
        self.count = 0
        self._begun = False
        self._content = False  # the event has more than blank lines
        self._in_line = False  # and so has its line

    def share(self, data: bytes, kind: Kind) -> list[Share]:
        """Content is cut behind blank lines."""
        if kind is Kind.FRAME:
            return [Share(data, Part.NONE, self.count)]
        if kind is Kind.SIZE:
            return [Share(data, self._begin(), self.count)]
        shares: list[Share] = []
        pos = 0
        while pos < len(data):
            part = self._begin() | Part.PAYLOAD
            stop = self._end(data, pos)
            if not self._begun:
                part |= Part.ENDS
            shares.append(Share(data[pos:stop], part, self.count))
            pos = stop
        return shares

    def _begin(self) -> Part:
        if self._begun:
            return Part.NONE
        self._begun = True
        self.count += 1
        return Part.ITEM

    def _end(self, data: bytes, pos: int) -> int:
        """Where the event ends, or what there is of it."""
        while True:
            newline = data.find(b"\n", pos)
            stop = len(data) if newline < 0 else newline
            self._in_line = self._in_line or data.count(b"\r", pos, stop) < stop - pos
            self._content = self._content or self._in_line
            if newline < 0:
                return stop
            pos = newline + 1
            if not self._in_line and self._content:
                self._begun = self._content = False
                return pos
            self._in_line = False
