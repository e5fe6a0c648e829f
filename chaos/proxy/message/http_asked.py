"""The caller's half of an HTTP connection as pieces. Pure."""

from __future__ import annotations

import re
from collections import deque

from chaos.proxy.message.http_body import ChunkedBody, Kind, LengthBody
from chaos.proxy.message.http_half import BODY, HEAD, RAW, TUNNEL, Half
from chaos.proxy.message.turn import Part, Piece, Turn
from chaos.wire.http1_head import MAX_HEAD, head_end, parse_request_head, starts_like_http
from chaos.wire.http1_request import MAX_OPEN, skip_empty_lines

__all__ = ["HttpTurn", "Requests", "says_close"]

_EXPECTS = re.compile(rb"\n[Ee][Xx][Pp][Ee][Cc][Tt][ \t]*:[ \t]*100-[Cc][Oo][Nn][Tt][Ii][Nn][Uu][Ee]")
_CONNECTION = re.compile(rb"\n[Cc][Oo][Nn][Nn][Ee][Cc][Tt][Ii][Oo][Nn][ \t]*:([^\r\n]*)")


class HttpTurn(Turn):
    """`old`: of HTTP/1.0. `closes`: the connection does not outlive it (or its answer). `tunnel`: what follows may be another protocol."""

    __slots__ = ("closes", "is_connect", "is_head", "old", "tunnel")

    def __init__(self, head: bytes, *, is_head: bool, is_connect: bool, tunnel: bool) -> None:
        super().__init__(">")
        self.is_head = is_head
        self.is_connect = is_connect
        self.tunnel = tunnel
        self.old = head.partition(b"\n")[0].rstrip().endswith(b"HTTP/1.0")
        self.closes = says_close(head, old=self.old)


class Requests(Half):
    """Cuts requests. `open` are the turns that wait for their answers, oldest first.

    A body that cannot be cut takes all that follows with it: it belongs to its turn and has no end.
    """

    def __init__(self) -> None:
        super().__init__()
        self.open: deque[HttpTurn] = deque()
        self._turn: HttpTurn | None = None
        self._passed_tunnel = False

    def answered(self, turn: HttpTurn) -> None:
        """A turn has its answer, or will never have one."""
        if turn in self.open:
            self.open.remove(turn)

    def tunnel_refused(self) -> None:
        """The answer to what asked for another protocol is an ordinary one: the connection goes on as HTTP."""
        if self._state == TUNNEL:
            self._state = RAW if self._passed_tunnel else HEAD

    def go_raw(self) -> None:
        """Nothing is cut from here on."""
        self._state, self._turn = RAW, None

    def _head(self, data: bytes, pos: int, pieces: list[Piece]) -> int:
        start = skip_empty_lines(data, pos)
        if start == len(data):
            if start - pos > MAX_HEAD:
                self.go_raw()
            return pos
        end = head_end(data, start)
        if end < 0 and starts_like_http(data, start) and len(data) - start <= MAX_HEAD:
            return pos
        head = parse_request_head(data, start, end) if 0 <= end - start <= MAX_HEAD else None
        if head is None or len(self.open) >= MAX_OPEN:
            self.go_raw()
            pieces.append(Piece(data[pos:]))
            return len(data)
        turn = HttpTurn(data[start:end], is_head=head.is_head, is_connect=head.is_connect, tunnel=head.tunnel)
        self.open.append(turn)
        if head.length == 0:
            pieces.append(Piece(data[pos:end], turn, Part.FIRST | Part.LAST))
            self._over(turn)
            return end
        turn.waits = _EXPECTS.search(data, start, end) is not None
        pieces.append(Piece(data[pos:end], turn, Part.FIRST))
        self._turn, self._body = turn, ChunkedBody() if head.length is None else LengthBody(head.length)
        self._state = BODY
        return end

    def _rest(self, data: bytes, pos: int, pieces: list[Piece]) -> int:
        body, turn = self._body, self._turn
        assert body is not None
        assert turn is not None
        bits = body.cut(data, pos)
        for bit in bits:
            part = Part.PAYLOAD if bit.kind is Kind.DATA else Part.NONE
            if body.done and bit is bits[-1]:
                part |= Part.LAST
            pieces.append(Piece(data[bit.start : bit.stop], turn, part))
            pos = bit.stop
        if body.done:
            self._turn = self._body = None
            self._over(turn)
        elif body.bad:
            self._state = RAW
            pieces.append(Piece(data[pos:], turn))
            return len(data)
        return pos

    def _beyond(self, data: bytes) -> Piece:
        self._passed_tunnel = True
        return Piece(data, self._turn if self.raw else None)

    def _over(self, turn: HttpTurn) -> None:
        self._state = TUNNEL if turn.tunnel and turn in self.open else HEAD
        self._passed_tunnel = False


def says_close(head: bytes, *, old: bool) -> bool:
    """Whether a head ends its connection (RFC 9112, section 9.3)."""
    words = b",".join(_CONNECTION.findall(head)).lower()
    return b"keep-alive" not in words if old else b"close" in words
