"""One HTTP exchange while it is open: what its two records will say."""

from __future__ import annotations

from typing import Any
from zlib import crc32

from chaos.wire.http1_head import ReplyHead, RequestHead

__all__ = ["DIGESTED_BYTES", "Exchange"]

DIGESTED_BYTES = 65_536
"""A request's digest covers this much of its body, and its length. It tells apart the requests of one trace, no more."""

_NOBODY = RequestHead("")


class Exchange:
    """A request and its reply. `number` is 0 for a reply nobody asked for."""

    __slots__ = (
        "_body_bytes",
        "_crc",
        "_marker",
        "_tail",
        "_terminal",
        "faults",
        "head",
        "number",
        "reply",
        "reply_bytes",
        "request_complete",
    )

    def __init__(self, head: RequestHead | None, number: int, faults: tuple[str, ...]) -> None:
        self.head = head or _NOBODY
        self.number = number
        self.faults = faults
        self.request_complete = head is None
        self.reply: ReplyHead | None = None
        self.reply_bytes = 0
        self._body_bytes = 0
        self._crc = 0
        self._marker = b""
        self._tail = b""
        self._terminal: bool | None = None

    def mark(self, faults: tuple[str, ...]) -> None:
        """These faults acted on a chunk of the exchange."""
        if not faults:
            return
        for fault in faults:
            if fault not in self.faults:
                self.faults += (fault,)

    def see_request(self, data: bytes, start: int, stop: int) -> None:
        """Take a piece of the request's body into its digest."""
        room = DIGESTED_BYTES - self._body_bytes
        self._body_bytes += stop - start
        if room <= 0 or self.head.idempotency_key:
            return
        self._crc = crc32(memoryview(data)[start : min(stop, start + room)], self._crc)

    def take_reply(self, head: ReplyHead, marker: bytes) -> None:
        """The final reply's head has come."""
        self.reply = head
        if head.event_stream:
            self._terminal = False
            self._marker = marker
            self._tail = b"\n"  # the marker may be the first line

    def see_reply(self, data: bytes, start: int, stop: int) -> None:
        """Look for the terminal marker of an event stream, a line of its own, in a piece of the reply's body."""
        if self._terminal is not False:
            return
        piece = self._tail + data[start:stop]
        at = piece.find(b"\n" + self._marker)
        while at >= 0:
            end = at + 1 + len(self._marker)
            if end == len(piece):
                break  # its line end is still to come
            if piece[end] in b"\r\n":
                self._terminal = True
                return
            at = piece.find(b"\n" + self._marker, end)
        self._tail = piece[-len(self._marker) - 1 :]

    def digest(self) -> str:
        """The idempotency key, or what tells this body from another; empty without a body, or before its end."""
        if self.head.idempotency_key:
            return self.head.idempotency_key
        if not self._body_bytes or not self.request_complete:
            return ""
        return f"{self._crc:08x}.{self._body_bytes}"

    def request_record(self, t_ns: int, link: str, connection: int, head_bytes: int) -> tuple[Any, ...]:
        """The `request` record; its bytes are the head's and the declared length's."""
        head = self.head
        return (
            t_ns,
            "request",
            link,
            connection,
            self.number,
            ">",
            head.signature,
            head_bytes + (head.length or 0),
            self.faults,
            "",
            head.trace_id,
            head.parent_id,
            head.sampled,
            head.op_id,
            head.budget_ms,
            None,
            head.idempotency_key,
        )

    def reply_record(self, t_ns: int, link: str, connection: int, ending: str = "") -> tuple[Any, ...]:
        """The `reply` record; `ending` takes the status' place when the reply is not complete."""
        head, reply = self.head, self.reply
        return (
            t_ns,
            "reply",
            link,
            connection,
            self.number,
            "<",
            head.signature,
            self.reply_bytes,
            self.faults,
            ending or str(reply.status if reply else ""),
            head.trace_id,
            head.parent_id,
            head.sampled,
            head.op_id,
            head.budget_ms,
            reply.retry_after_s if reply else None,
            self.digest(),
            self._terminal,
        )
