"""One NATS message under way, and what its record will say."""

from __future__ import annotations

import re
from typing import Any
from zlib import crc32

from chaos.wire.messages import NO_CONTEXT, Closing, Row
from chaos.wire.nats_subject import INBOX, JS_ACK, ack_signature, deliveries

__all__ = ["Message"]

_API_ERROR = re.compile(rb'"error":[ ]*\{[^}]*?"err_code":[ ]*(\d{1,9})')
_ACKS = frozenset((b"+ACK", b"-NAK", b"+TERM", b"+WPI", b"+NXT"))


class Message:
    """One message under way. `number` is -1 until it has one, 0 for an answer to nothing that is known."""

    __slots__ = (
        "_crc",
        "_payload_bytes",
        "_seen",
        "context",
        "deliveries",
        "digest",
        "goes_on",
        "nbytes",
        "number",
        "reply",
        "request",
        "signature",
        "status",
        "subject",
    )

    def __init__(self, subject: bytes, reply: bytes, nbytes: int, payload_bytes: int) -> None:
        self.subject = subject
        self.reply = reply
        self.nbytes = nbytes
        self.number = -1
        self.request = True
        self.goes_on = False  # the exchange stays open behind it
        self.signature = self.status = self.digest = ""
        self.context = NO_CONTEXT
        self.deliveries = deliveries(reply) if reply.startswith(JS_ACK) else 0
        self._payload_bytes = payload_bytes
        self._crc = self._seen = 0

    def answer(self, row: Row | None, payload: bytes) -> None:
        """It answers the request of that row, or one that is not known; `payload` is how it begins."""
        is_ack = self.subject.startswith(JS_ACK)
        if row is None and not is_ack and (self.status == "100" or not self.subject.startswith(INBOX)):
            return
        self.request = False
        self.number = row[4] if row else 0
        own = self.context
        self.context = row[10:15] if row and len(row) > 10 else own
        self.digest = row[16] if row and len(row) > 16 else self.digest
        if is_ack:
            self.deliveries = deliveries(self.subject)
            word = payload.split(b" ", 1)[0].strip().upper()
            self.status = word.decode() if word in _ACKS else "+ACK"
            self.signature = ack_signature(self.subject, self.status)
            self.goes_on = word == b"+WPI"
            return
        self.signature = row[6] if row else ""
        if not self.status:
            error = _API_ERROR.search(payload)
            self.status = f"err {error[1].decode()}" if error else "ok"

    def see(self, data: bytes, start: int, stop: int) -> None:
        """Take a piece of the payload into the digest; what follows the payload is left out."""
        if not self.request or self.digest or not self.context[0]:
            return
        stop = min(stop, start + self._payload_bytes - self._seen)
        if stop > start:
            self._crc = crc32(memoryview(data)[start:stop], self._crc)
            self._seen += stop - start

    def tail(self) -> tuple[Any, ...]:
        """The fields of its `request` record from `trace_id` on."""
        digest = self.digest or (f"{self._crc:08x}.{self._seen}" if self.context[0] else "")
        return (*self.context, None, digest, None, self.deliveries)

    def closing(self) -> Closing:
        """What its `reply` record will say."""
        signature = self.signature
        return (self.number, signature, self.nbytes, self.status, self.context, self.digest, self.deliveries, False)
