"""One half of an HTTP connection as pieces: what requests and answers have in common. Pure."""

from __future__ import annotations

from chaos.proxy.message.http_body import Body
from chaos.proxy.message.turn import Piece

__all__ = ["BODY", "HEAD", "RAW", "TUNNEL", "Half"]

HEAD, BODY, TUNNEL, RAW = range(4)
"""What comes next: a head, more of a body, perhaps another protocol, or what is not cut any more."""


class Half:
    """Cuts messages as they come: a head, its body, the next head. `carry` is the beginning of something, kept until more of it comes."""

    def __init__(self) -> None:
        self.carry = b""
        self._state = HEAD
        self._body: Body | None = None

    @property
    def raw(self) -> bool:
        """Whether nothing is cut any more."""
        return self._state == RAW

    @property
    def amid(self) -> bool:
        """Whether a message has begun and is not over."""
        return self._state == BODY

    def feed(self, data: bytes) -> list[Piece]:
        """Pieces of what came."""
        if self.carry:
            data, self.carry = self.carry + data, b""
        pieces: list[Piece] = []
        pos, end = 0, len(data)
        while pos < end:
            if self._state == HEAD:
                stop = self._head(data, pos, pieces)
            elif self._state == BODY:
                stop = self._rest(data, pos, pieces)
            else:
                pieces.append(self._beyond(data[pos:]))
                break
            if stop == pos:  # the rest is the beginning of something
                self.carry = data[pos:]
                break
            pos = stop
        return pieces

    def _head(self, data: bytes, pos: int, pieces: list[Piece]) -> int:
        """Cut the head at `pos`; where it ends, or `pos` if it is not there yet."""
        raise NotImplementedError

    def _rest(self, data: bytes, pos: int, pieces: list[Piece]) -> int:
        """Cut what is there of a body; where that ends."""
        raise NotImplementedError

    def _beyond(self, data: bytes) -> Piece:
        """What comes once there are no messages to cut."""
        raise NotImplementedError
