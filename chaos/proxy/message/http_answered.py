"""The callee's half of an HTTP connection as pieces. Pure."""

from __future__ import annotations

from chaos.proxy.message.http_asked import HttpTurn, Requests, says_close
from chaos.proxy.message.http_body import Body, ChunkedBody, LengthBody, UntilCloseBody
from chaos.proxy.message.http_half import BODY, HEAD, RAW, Half
from chaos.proxy.message.http_items import Blocks, Chunks, Events, Items
from chaos.proxy.message.turn import Part, Piece
from chaos.wire.http1_head import MAX_HEAD, ReplyHead, head_end, parse_reply_head
from chaos.wire.http1_request import skip_empty_lines

__all__ = ["Replies"]

_H = ord("H")


class Replies(Half):
    """Cuts answers, each the oldest open turn's.

    An answer that cannot be cut takes all that follows with it: it belongs to its turn and has no end.
    """

    def __init__(self, requests: Requests) -> None:
        super().__init__()
        self._requests = requests
        self._turn: HttpTurn | None = None
        self._items: Items = Blocks()

    def ended(self) -> list[Piece]:
        """The stream is over, and with it an answer without a length."""
        kept, self.carry = self.carry, b""
        if self._state == BODY and isinstance(self._body, UntilCloseBody):
            return [self._last(_piece(kept, self._turn))]
        return [_piece(kept, self._turn)] if kept else []

    def _head(self, data: bytes, pos: int, pieces: list[Piece]) -> int:
        start = skip_empty_lines(data, pos)
        turn = self._requests.open[0] if self._requests.open else None
        if start == len(data):
            return pos if start - pos <= MAX_HEAD else self._go_raw(data, pos, turn, pieces)
        end = head_end(data, start)
        if end < 0 and data[start] == _H and len(data) - start <= MAX_HEAD:
            return pos
        head = parse_reply_head(data, start, end) if 0 <= end - start <= MAX_HEAD else None
        if head is None:
            return self._go_raw(data, pos, turn, pieces)
        if 100 <= head.status < 200 and head.status != 101:
            pieces.append(Piece(data[pos:end]))
            return end
        self._turn = turn
        tunnels = head.status == 101 or (turn is not None and turn.is_connect and 200 <= head.status < 300)
        if not tunnels and turn is not None and turn.tunnel:
            turn.tunnel = False
            self._requests.tunnel_refused()
        body = LengthBody(0) if tunnels else _body(head, turn)
        if turn is not None and not turn.closes:
            turn.closes = isinstance(body, UntilCloseBody) or says_close(data[start:end], old=_is_old(data, start))
        piece = _piece(data[pos:end], turn)
        if body.done:
            pieces.append(self._last(piece))
        else:
            pieces.append(piece)
            self._state, self._body = BODY, body
            self._items = Events() if head.event_stream else Chunks() if head.chunked else Blocks()
        if tunnels:
            self._requests.go_raw()
            self._state = RAW
        return end

    def _rest(self, data: bytes, pos: int, pieces: list[Piece]) -> int:
        body, turn = self._body, self._turn
        assert body is not None
        for bit in body.cut(data, pos):
            for share in self._items.share(data[bit.start : bit.stop], bit.kind):
                part = share.part if turn is None else share.part | Part.REPLY
                pieces.append(Piece(share.data, turn, part, share.item))
            pos = bit.stop
        if turn is not None:
            turn.items = self._items.count
        if body.done:
            pieces[-1] = self._last(pieces[-1])
        elif body.bad:
            return self._go_raw(data, pos, turn, pieces)
        return pos

    def _beyond(self, data: bytes) -> Piece:
        return _piece(data, self._turn)

    def _last(self, piece: Piece) -> Piece:
        """The answer's last piece, which ends its turn."""
        turn, self._turn, self._body = self._turn, None, None
        self._state = HEAD
        if turn is None:
            return piece
        self._requests.answered(turn)
        return piece._replace(part=piece.part | Part.REPLY | Part.DONE)

    def _go_raw(self, data: bytes, pos: int, turn: HttpTurn | None, pieces: list[Piece]) -> int:
        self._state, self._turn = RAW, turn
        pieces.append(_piece(data[pos:], turn))
        return len(data)


def _piece(data: bytes, turn: HttpTurn | None) -> Piece:
    return Piece(data, turn, Part.REPLY if turn is not None else Part.NONE)


def _is_old(data: bytes, start: int) -> bool:
    return data.startswith(b"HTTP/1.0", start)


def _body(head: ReplyHead, turn: HttpTurn | None) -> Body:
    """How far the body reaches: RFC 9112, section 6.3."""
    if (turn is not None and turn.is_head) or head.status in (204, 304):
        return LengthBody(0)
    if head.chunked:
        return ChunkedBody()
    return UntilCloseBody() if head.length is None else LengthBody(head.length)
