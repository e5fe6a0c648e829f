"""The caller's half of HTTP/1.1 framing: requests, and the exchanges that they open."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from chaos.wire.http1_body import Body, ChunkedBody, LengthBody
from chaos.wire.http1_exchange import Exchange
from chaos.wire.http1_head import MAX_HEAD, RequestHead, head_end, parse_request_head, starts_like_http

__all__ = ["BODY", "HEAD", "MAX_OPEN", "RAW", "WAIT", "Emit", "Faults", "RequestSide", "skip_empty_lines"]

Faults = tuple[str, ...]
Emit = Callable[[tuple[Any, ...]], None]

HEAD, BODY, WAIT, RAW = range(4)
"""HEAD: between messages or inside a head; BODY: inside a body; WAIT: a tunnel was asked for and not answered yet, so what
follows may be anything; RAW: not HTTP any more. A reply's parser never waits."""

MAX_OPEN = 4096
"""Pipelined requests without a reply, after which a connection is not framed any more: what is kept of them is memory."""
_LINE_ENDS = (b"\r", b"\n")


class RequestSide:
    """Requests of one connection, and the exchanges that are open."""

    __slots__ = (
        "_chunk_first",
        "_connection",
        "_emit",
        "_exchanges",
        "_link",
        "_number",
        "_request_body",
        "_request_carry",
        "_request_faults",
        "_request_state",
        "_sending",
    )

    def __init__(self, link: str, connection: int, emit: Emit) -> None:
        self._link = link
        self._connection = connection
        self._emit = emit
        self._number = 0
        self._chunk_first = 1  # the first exchange with bytes in the latest chunk from the caller
        self._exchanges: deque[Exchange] = deque()  # requests whose replies are not over, oldest first
        self._sending: Exchange | None = None  # the exchange whose request body is on its way
        self._request_state = HEAD
        self._request_carry = b""
        self._request_body: Body | None = None
        self._request_faults: Faults = ()  # faults that acted on a head not yet complete

    @property
    def requests(self) -> int:
        """Requests seen so far."""
        return self._number

    @property
    def open_exchanges(self) -> int:
        """Requests seen whose replies are not over."""
        return len(self._exchanges)

    def requests_fed(self) -> tuple[Exchange, ...]:
        """The exchanges that the chunk given to `feed_request` last has bytes of; none while its head is not complete."""
        return tuple(exchange for exchange in self._exchanges if exchange.number >= self._chunk_first)

    def answering(self) -> tuple[Exchange, ...]:
        """The oldest exchange that is open: what comes from the callee belongs to it."""
        return (self._exchanges[0],) if self._exchanges else ()

    def mark_request(self, faults: Faults) -> None:
        """Faults acted on the chunk that `feed_request` was given last: on every exchange that has bytes in it."""
        for exchange in self._exchanges:
            if exchange.number >= self._chunk_first:
                exchange.mark(faults)
        if self._request_carry:
            self._request_faults = _joined(self._request_faults, faults)

    def mark_exchange(self, number: int, faults: Faults) -> None:
        """Faults acted on that exchange, if it is open."""
        for exchange in self._exchanges:
            if exchange.number == number:
                exchange.mark(faults)
                return

    def feed_request(self, data: bytes, t_ns: int, faults: Faults = ()) -> None:
        """Bytes from the caller; `faults` acted on all of them."""
        if self._request_state == RAW:
            return
        self._chunk_first = self._number + 1 if self._sending is None else self._number
        if self._request_carry:
            data, self._request_carry = self._request_carry + data, b""
        pos, end = 0, len(data)
        while pos < end:
            state = self._request_state
            if state == HEAD:
                pos = self._request_head(data, pos, t_ns, faults)
            elif state == BODY:
                pos = self._pass_request_body(data, pos, t_ns, faults)
            elif state == WAIT:
                self._keep_waiting(data[pos:], t_ns, faults)
                return
            else:
                return

    def _request_head(self, data: bytes, pos: int, t_ns: int, faults: Faults) -> int:
        pos = skip_empty_lines(data, pos)
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
        if head is None or len(self._exchanges) >= MAX_OPEN:
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
        self._request_state = BODY
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
        self._request_state = HEAD
        # A tunnel refused before its request was over is no exchange of ours any more.
        if exchange.head.tunnel and exchange in self._exchanges:
            self._request_state = WAIT

    def _keep_waiting(self, data: bytes, t_ns: int, faults: Faults) -> None:
        if len(data) > MAX_HEAD:
            self._request_raw(t_ns)
            return
        self._request_carry = data
        self._request_faults = _joined(self._request_faults, faults)

    def _request_raw(self, t_ns: int) -> None:
        self._request_state = RAW
        self._request_carry, self._request_body, self._sending = b"", None, None
        self._emit((t_ns, "raw", self._link, self._connection, self._number, ">"))


def skip_empty_lines(data: bytes, pos: int) -> int:
    """RFC 9112, 2.2: empty lines before a message are to be ignored."""
    while data[pos : pos + 1] in _LINE_ENDS:
        pos += 1
    return pos


def _joined(faults: Faults, more: Faults) -> Faults:
    return faults + tuple(fault for fault in more if fault not in faults) if more else faults
