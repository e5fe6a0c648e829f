"""HTTP/1.1 framing of both directions of one connection: offsets and counters, one record per message, never an exception.

Feed what arrives from the caller (before any fault has its way) and what is delivered to it (after), as it happens. Tell what a
fault did either with the chunk or, once it is known, by `mark_request` (about the chunk fed last) and `mark_reply` (about a
chunk still to be delivered). Records come out in the field order
of `WireRecord`: a `request` once its head is complete, a `reply` once its exchange is over (with the faults that acted on any chunk
of it), `raw` where the stream cannot be framed any further (TLS, another protocol, an upgrade, garbage).

A request's body is digested on its way, so the digest of a request without an idempotency key is known at the exchange's end only:
it stands in the `reply` record. Both records of an exchange carry the same number, signature, trace and operation.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from chaos.wire.http1_body import Body, ChunkedBody, LengthBody, UntilCloseBody
from chaos.wire.http1_exchange import Exchange
from chaos.wire.http1_head import (
    MAX_HEAD,
    ReplyHead,
    RequestHead,
    head_end,
    parse_reply_head,
    parse_request_head,
    starts_like_http,
)

__all__ = ["SSE_DONE", "Http1Framer"]

SSE_DONE = b"data: [DONE]"
"""The line that ends a complete event stream of an OpenAI-compatible service."""

Faults = tuple[str, ...]

_HEAD, _BODY, _WAIT, _RAW = range(4)
# _HEAD: between messages or inside a head; _BODY: inside a body; _WAIT: a tunnel was asked for and not answered yet, so what
# follows may be anything; _RAW: not HTTP any more. A reply's parser never waits.


class Http1Framer:
    """One connection's framing. `emit` takes each record, a tuple in the order of `WireRecord`."""

    __slots__ = (
        "_chunk_first",
        "_connection",
        "_emit",
        "_exchanges",
        "_link",
        "_marker",
        "_number",
        "_reply_body",
        "_reply_carry",
        "_reply_state",
        "_request_body",
        "_request_carry",
        "_request_faults",
        "_request_state",
        "_sending",
    )

    def __init__(
        self, link: str, connection: int, emit: Callable[[tuple[Any, ...]], None], *, marker: bytes = SSE_DONE
    ) -> None:
        self._link = link
        self._connection = connection
        self._emit = emit
        self._marker = marker
        self._number = 0
        self._chunk_first = 1  # the first exchange with bytes in the latest chunk from the caller
        self._exchanges: deque[Exchange] = deque()  # requests whose replies are not over, oldest first
        self._sending: Exchange | None = None  # the exchange whose request body is on its way
        self._request_state = self._reply_state = _HEAD
        self._request_carry = self._reply_carry = b""
        self._request_body: Body | None = None
        self._reply_body: Body | None = None
        self._request_faults: Faults = ()  # faults that acted on a head not yet complete

    @property
    def raw(self) -> bool:
        """True once neither direction is framed: the caller need not feed any more."""
        return self._request_state == _RAW and self._reply_state == _RAW

    @property
    def open_exchanges(self) -> int:
        """Requests seen whose replies are not over."""
        return len(self._exchanges)

    # -- what acted -------------------------------------------------------------------------------------------------

    def mark_request(self, faults: Faults) -> None:
        """Faults acted on the chunk that `feed_request` was given last: on every exchange that has bytes in it."""
        for exchange in self._exchanges:
            if exchange.number >= self._chunk_first:
                exchange.mark(faults)
        if self._request_carry:
            self._request_faults = _joined(self._request_faults, faults)

    def mark_reply(self, faults: Faults) -> None:
        """Faults acted on bytes that are still to be delivered to the caller: on the oldest open exchange."""
        if self._exchanges:
            self._exchanges[0].mark(faults)

    # -- bytes from the caller --------------------------------------------------------------------------------------

    def feed_request(self, data: bytes, t_ns: int, faults: Faults = ()) -> None:
        """Bytes from the caller; `faults` acted on all of them."""
        if self._request_state == _RAW:
            return
        self._chunk_first = self._number + 1 if self._sending is None else self._number
        if self._request_carry:
            data, self._request_carry = self._request_carry + data, b""
        pos, end = 0, len(data)
        while pos < end:
            state = self._request_state
            if state == _HEAD:
                pos = self._request_head(data, pos, t_ns, faults)
            elif state == _BODY:
                pos = self._pass_request_body(data, pos, t_ns, faults)
            elif state == _WAIT:
                self._keep_waiting(data[pos:], t_ns, faults)
                return
            else:
                return

    def _request_head(self, data: bytes, pos: int, t_ns: int, faults: Faults) -> int:
        pos = _skip_empty_lines(data, pos)
        if pos == len(data):
            return pos
        end = head_end(data, pos)
        if end < 0:
            if not starts_like_http(data, pos) or len(data) - pos > MAX_HEAD:
                self._request_raw(t_ns)
                return len(data)
            self._request_carry = data[pos:]
            self._request_faults = _joined(self._request_faults, faults)
            return len(data)
        head = parse_request_head(data, pos, end) if end - pos <= MAX_HEAD else None
        if head is None:
            self._request_raw(t_ns)
            return len(data)
        if self._request_faults:
            faults, self._request_faults = _joined(self._request_faults, faults), ()
        exchange = self._begin_exchange(head, end - pos, t_ns, faults)
        length = head.length
        if length is not None and end + length <= len(data):  # all of it is here, as nearly always
            if length:
                exchange.see_request(data, end, end + length)
            self._request_over(exchange)
            return end + length
        self._sending = exchange
        self._request_body = ChunkedBody() if length is None else LengthBody(length)
        self._request_state = _BODY
        return end

    def _begin_exchange(self, head: RequestHead, head_bytes: int, t_ns: int, faults: Faults) -> Exchange:
        self._number += 1
        exchange = Exchange(head, self._number, faults)
        self._exchanges.append(exchange)
        self._emit(exchange.request_record(t_ns, self._link, self._connection, head_bytes))
        return exchange

    def _pass_request_body(self, data: bytes, pos: int, t_ns: int, faults: Faults) -> int:
        body, exchange = self._request_body, self._sending
        assert body is not None
        assert exchange is not None
        exchange.mark(faults)
        pos = body.advance(data, pos, exchange.see_request)
        if body.bad:
            self._request_raw(t_ns)
            return len(data)
        if body.done:
            self._sending = self._request_body = None
            self._request_over(exchange)
        return pos

    def _request_over(self, exchange: Exchange) -> None:
        exchange.request_complete = True
        self._request_state = _HEAD
        # A tunnel refused before its request was over is no exchange of ours any more.
        if exchange.head.tunnel and exchange in self._exchanges:
            self._request_state = _WAIT

    def _keep_waiting(self, data: bytes, t_ns: int, faults: Faults) -> None:
        if len(data) > MAX_HEAD:
            self._request_raw(t_ns)
            return
        self._request_carry = data
        self._request_faults = _joined(self._request_faults, faults)

    def _request_raw(self, t_ns: int) -> None:
        self._request_state = _RAW
        self._request_carry, self._request_body, self._sending = b"", None, None
        self._emit((t_ns, "raw", self._link, self._connection, self._number, ">"))

    # -- bytes for the caller ---------------------------------------------------------------------------------------

    def feed_reply(self, data: bytes, t_ns: int, faults: Faults = ()) -> None:
        """Bytes for the caller; `faults` acted on all of them."""
        if self._reply_state == _RAW:
            return
        if self._reply_carry:
            data, self._reply_carry = self._reply_carry + data, b""
        pos, end = 0, len(data)
        while pos < end and self._reply_state != _RAW:
            if self._reply_state == _HEAD:
                pos = self._reply_head(data, pos, t_ns, faults)
            else:
                pos = self._pass_reply_body(data, pos, t_ns, faults)

    def _reply_head(self, data: bytes, pos: int, t_ns: int, faults: Faults) -> int:
        pos = _skip_empty_lines(data, pos)
        if pos == len(data):
            return pos
        if self._exchanges:
            self._exchanges[0].mark(faults)
        end = head_end(data, pos)
        if end < 0:
            if data[pos] != _H or len(data) - pos > MAX_HEAD:
                self._reply_raw(t_ns)
                return len(data)
            self._reply_carry = data[pos:]
            return len(data)
        head = parse_reply_head(data, pos, end) if end - pos <= MAX_HEAD else None
        if head is None:
            self._reply_raw(t_ns)
            return len(data)
        if not self._exchanges:  # an answer nobody asked for, such as 408 on an idle connection: number 0
            self._exchanges.append(Exchange(None, 0, faults))
        exchange = self._exchanges[0]
        exchange.reply_bytes += end - pos
        if 100 <= head.status < 200 and head.status != 101:
            return end  # RFC 9110, 15.2: interim; the final one follows
        return end if self._take_reply(head, exchange, t_ns) else len(data)

    def _take_reply(self, head: ReplyHead, exchange: Exchange, t_ns: int) -> bool:
        """Begin or end an exchange's reply; False if what follows is no HTTP."""
        exchange.take_reply(head, self._marker)
        if head.status == 101 or (exchange.head.is_connect and 200 <= head.status < 300):
            self._reply_over(exchange, t_ns)
            self._request_raw(t_ns)
            self._reply_raw(t_ns)
            return False
        self._reply_body = _reply_body(head, exchange)
        if self._reply_body.done:
            self._reply_over(exchange, t_ns)
        else:
            self._reply_state = _BODY
        return True

    def _pass_reply_body(self, data: bytes, pos: int, t_ns: int, faults: Faults) -> int:
        body, exchange = self._reply_body, self._exchanges[0]
        assert body is not None
        exchange.mark(faults)
        stop = body.advance(data, pos, exchange.see_reply)
        exchange.reply_bytes += stop - pos
        if body.bad:
            self._reply_raw(t_ns)
            return len(data)
        if body.done:
            self._reply_over(exchange, t_ns)
        return stop

    def _reply_over(self, exchange: Exchange, t_ns: int) -> None:
        self._exchanges.popleft()
        self._reply_body = None
        self._reply_state = _HEAD
        self._emit(exchange.reply_record(t_ns, self._link, self._connection))
        if self._request_state == _WAIT and exchange.head.tunnel and not self._exchanges:
            self._request_state = _HEAD  # refused: the connection goes on as HTTP
            if self._request_carry:
                held, self._request_carry = self._request_carry, b""
                self.feed_request(held, t_ns)

    def _reply_raw(self, t_ns: int) -> None:
        self._reply_state = _RAW
        self._reply_carry, self._reply_body = b"", None
        self._emit((t_ns, "raw", self._link, self._connection, self._number, "<"))

    # -- the end ----------------------------------------------------------------------------------------------------

    def end_reply(self, t_ns: int) -> None:
        """The callee's stream ended (FIN) and the caller was told: completes a reply that reaches until the close."""
        if self._reply_state == _BODY and isinstance(self._reply_body, UntilCloseBody):
            self._reply_over(self._exchanges[0], t_ns)

    def end(self, t_ns: int, faults: Faults = ()) -> None:
        """The connection is gone: every open exchange is aborted. `faults` cut it. Nothing may be fed afterwards."""
        status = "unframed" if self._reply_state == _RAW else "aborted"
        self._request_state = self._reply_state = _RAW
        while self._exchanges:
            exchange = self._exchanges.popleft()
            exchange.mark(faults)
            self._emit(exchange.reply_record(t_ns, self._link, self._connection, status))
        self._sending = self._request_body = self._reply_body = None
        self._request_carry = self._reply_carry = b""


_H = ord("H")
_LINE_ENDS = (b"\r", b"\n")


def _reply_body(head: ReplyHead, exchange: Exchange) -> Body:
    """How far the body reaches: RFC 9112, section 6.3."""
    if exchange.head.is_head or head.status in (204, 304):
        return LengthBody(0)
    if head.chunked:
        return ChunkedBody()
    return UntilCloseBody() if head.length is None else LengthBody(head.length)


def _skip_empty_lines(data: bytes, pos: int) -> int:
    """RFC 9112, 2.2: empty lines before a message are to be ignored."""
    while data[pos : pos + 1] in _LINE_ENDS:
        pos += 1
    return pos


def _joined(faults: Faults, more: Faults) -> Faults:
    return faults + tuple(fault for fault in more if fault not in faults) if more else faults
