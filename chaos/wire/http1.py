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

from chaos.wire.http1_body import Body, ChunkedBody, LengthBody, UntilCloseBody
from chaos.wire.http1_exchange import Exchange
from chaos.wire.http1_head import MAX_HEAD, ReplyHead, head_end, parse_reply_head
from chaos.wire.http1_request import BODY, HEAD, RAW, WAIT, Emit, Faults, RequestSide, skip_empty_lines

__all__ = ["SSE_DONE", "Http1Framer"]

SSE_DONE = b"data: [DONE]"
"""The line that ends a complete event stream of an OpenAI-compatible service."""

_H = ord("H")


class Http1Framer(RequestSide):
    """One connection's framing. `emit` takes each record, a tuple in the order of `WireRecord`."""

    __slots__ = ("_marker", "_reply_body", "_reply_carry", "_reply_state")

    def __init__(self, link: str, connection: int, emit: Emit, *, marker: bytes = SSE_DONE) -> None:
        super().__init__(link, connection, emit)
        self._marker = marker
        self._reply_state = HEAD
        self._reply_carry = b""
        self._reply_body: Body | None = None

    @property
    def raw(self) -> bool:
        """True once neither direction is framed: the caller need not feed any more."""
        return self._request_state == RAW and self._reply_state == RAW

    @property
    def at_rest(self) -> bool:
        """Whether nothing is under way: every request has its reply, and no message has begun."""
        idle = self._request_state == HEAD == self._reply_state and not self._exchanges
        return idle and not self._request_carry and not self._reply_carry

    def drop(self, number: int, t_ns: int) -> None:
        """The reply to that exchange came and was swallowed whole."""
        for exchange in self._exchanges:
            if exchange.number == number:
                self._exchanges.remove(exchange)
                self._emit(exchange.reply_record(t_ns, self._link, self._connection, "dropped"))
                return

    def mark_reply(self, faults: Faults) -> None:
        """Faults acted on bytes that are still to be delivered to the caller: on the oldest open exchange."""
        if self._exchanges:
            self._exchanges[0].mark(faults)

    def feed_reply(self, data: bytes, t_ns: int, faults: Faults = ()) -> None:
        """Bytes for the caller; `faults` acted on all of them."""
        if self._reply_state == RAW:
            return
        if self._reply_carry:
            data, self._reply_carry = self._reply_carry + data, b""
        pos, end = 0, len(data)
        while pos < end and self._reply_state != RAW:
            if self._reply_state == HEAD:
                pos = self._reply_head(data, pos, t_ns, faults)
            else:
                pos = self._pass_reply_body(data, pos, t_ns, faults)

    def _reply_head(self, data: bytes, pos: int, t_ns: int, faults: Faults) -> int:
        pos = skip_empty_lines(data, pos)
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
            self._reply_state = BODY
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
        self._reply_state = HEAD
        self._emit(exchange.reply_record(t_ns, self._link, self._connection))
        if self._request_state == WAIT and exchange.head.tunnel and not self._exchanges:
            self._request_state = HEAD  # refused: the connection goes on as HTTP
            if self._request_carry:
                held, self._request_carry = self._request_carry, b""
                self.feed_request(held, t_ns)

    def _reply_raw(self, t_ns: int) -> None:
        self._reply_state = RAW
        self._reply_carry, self._reply_body = b"", None
        self._emit((t_ns, "raw", self._link, self._connection, self._number, "<"))

    def end_reply(self, t_ns: int) -> None:
        """The callee's stream ended (FIN) and the caller was told: completes a reply that reaches until the close."""
        if self._reply_state == BODY and isinstance(self._reply_body, UntilCloseBody):
            self._reply_over(self._exchanges[0], t_ns)

    def end(self, t_ns: int, faults: Faults = ()) -> None:
        """The connection is gone: every open exchange is aborted. `faults` cut it. Nothing may be fed afterwards."""
        status = "unframed" if self._reply_state == RAW else "aborted"
        self._request_state = self._reply_state = RAW
        while self._exchanges:
            exchange = self._exchanges.popleft()
            exchange.mark(faults)
            self._emit(exchange.reply_record(t_ns, self._link, self._connection, status))
        self._sending = self._request_body = self._reply_body = None
        self._request_carry = self._reply_carry = b""


def _reply_body(head: ReplyHead, exchange: Exchange) -> Body:
    """How far the body reaches: RFC 9112, section 6.3."""
    if exchange.head.is_head or head.status in (204, 304):
        return LengthBody(0)
    if head.chunked:
        return ChunkedBody()
    return UntilCloseBody() if head.length is None else LengthBody(head.length)
