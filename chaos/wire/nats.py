"""NATS client protocol framing of both directions of one connection (NATS documentation, client protocol; ADR-4 for headers).

A `request` is a message: published by the caller (`PUB tasks.run`, direction `>`) or delivered to it (`MSG tasks.run`, `<`), with or
without headers; also `SUB`, `UNSUB` and `CONNECT`. It is recorded once its last byte is there. A message with a reply subject is
answered by the first message the other way on that subject: the `reply` carries its number and trace. So the acknowledgement of a
JetStream delivery is the delivery's reply, with the signature `PUB $JS.ACK.STREAM.consumer`, the delivery count, and the status `+ACK`,
`-NAK`, `+TERM` (`+WPI` leaves it open); other than `+ACK` and `+NXT` it stands in the signature, too: `PUB -NAK $JS.ACK.STREAM.consumer`.
Other statuses: `ok`, a NATS status (`503`: no responders), `err N` of JetStream's API, `unanswered` when the exchange is given up,
`aborted` when the connection ends before (of a delivery with a mere inbox both are told only if a fault acted: its publisher may just
want it stored). A message that expects no answer gets a reply, `none`, only if a fault acted on it. Pulls
(`$JS.API.CONSUMER.MSG.NEXT`) are answered by deliveries and have no reply of their own; what no request is known for has number 0, as
has `-ERR`. A digest is the Nats-Msg-Id, or of the payload where there is a trace id; of CONNECT, which is never looked into, the
server's `cid=`.

PING, PONG and +OK are not recorded; idle heartbeats are `~heartbeat`. INFO's `connect_urls` are emptied (see `nats_info`).
"""

# ruff: noqa: SLF001 - the tables at the end name the machine's own methods
from __future__ import annotations

import re
from collections.abc import Callable

from chaos.wire.messages import NO_CONTEXT, Lane, Row
from chaos.wire.nats_info import InfoBlanker
from chaos.wire.nats_messages import BAD, MORE, NatsMessages
from chaos.wire.nats_subject import subject_signature

__all__ = ["NatsFramer"]

MAX_LINE_BYTES = 32_768
"""Bytes of a line after which a stream counts as one that cannot be framed; CONNECT may carry a long token."""

_TEXT_CHARS = 200
_TLS_RECORD = 0x16
_INFO = b"INFO "
_INFO_KEPT_BYTES = 65_536
_CLIENT_ID = re.compile(rb'"client_id":[ ]*(\d{1,20})')
_FIRST_BYTES = {">": frozenset(b"PpHhSsUuCc+-\r\n"), "<": frozenset(b"MmHhIiPp+-\r\n")}


class NatsFramer(NatsMessages):
    """One connection's framing; never raises, whatever it is fed."""

    __slots__ = ("_blanker", "_changes", "_cid", "_info")

    def __init__(self, link: str, connection: int, emit: Callable[[Row], None]) -> None:
        super().__init__(link, connection, emit)
        self._blanker: InfoBlanker | None = None  # of the INFO whose line is not over
        self._changes: list[tuple[int, bytes]] = []
        self._info = b""
        self._cid = ""

    @property
    def at_rest(self) -> bool:
        """Whether no message has begun; what waits for its answer may do so."""
        begun = self._blanker is not None or any(self._partial.values())
        return super().at_rest and not begun

    def subscription(self, subject: bytes) -> bytes | None:
        """The sid under which the caller is delivered what is sent to that subject; None if none is known."""
        return self._sids.hearing(subject)

    # -- bytes ------------------------------------------------------------------------------------------------------

    def feed_request(self, data: bytes, t_ns: int, *, watched: bool = False) -> None:
        """Bytes from the caller. `watched`: stages may act on them, so `mark` and `passed` will follow."""
        if not self.raw:
            self._feed(self.up, _UP, self._enter(self.up, data, watched=watched), t_ns)

    def feed_reply(self, data: bytes, t_ns: int, *, watched: bool = False) -> bytes:
        """Bytes from the callee; answers those to go on in their place: as many, INFO's `connect_urls` emptied."""
        if self.raw:
            return data
        lane = self.down
        self._feed(lane, _DOWN, self._enter(lane, data, watched=watched), t_ns)
        if not self._changes:
            return data
        out = bytearray(data)
        for offset, piece in self._changes:
            at = offset - (lane.entered - len(data))
            out[at : at + len(piece)] = piece
        self._changes = []
        return bytes(out)

    def _feed(self, lane: Lane, verbs: dict[bytes, _Handler], data: bytes, t_ns: int) -> None:
        pos, end = 0, len(data)
        if lane.skip:
            pos = self._pass_payload(lane, data, t_ns)
        elif self._blanker is not None and lane is self.down:
            pos = self._pass_info(data, 0, t_ns)
        while pos < end:
            eol = data.find(b"\n", pos)
            if eol < 0:
                self._hold(lane, data, pos, t_ns)
                return
            args = data[pos:eol].split()
            if not args:
                pos = eol + 1
                continue
            handler = verbs.get(args[0]) or verbs.get(args[0].upper())
            stop = BAD if handler is None else handler(self, lane, args, data, pos, eol + 1, t_ns)
            if stop <= 0:
                if stop == MORE:
                    lane.carry = data[pos:]
                else:
                    self._unframed(lane, data, pos, t_ns)
                return
            pos = stop
        lane.skip = pos - end if pos > end else 0

    def _hold(self, lane: Lane, data: bytes, pos: int, t_ns: int) -> None:
        """A line whose end is still to come."""
        if lane is self.down and data[pos : pos + 5].upper() == _INFO:
            self._pass_info(data, pos + 5, t_ns)
        elif data[pos] not in _FIRST_BYTES[lane.direction] or len(data) - pos > MAX_LINE_BYTES:
            self._unframed(lane, data, pos, t_ns)
        else:
            lane.carry = data[pos:]

    def _unframed(self, lane: Lane, data: bytes, pos: int, t_ns: int) -> None:
        self._go_raw(lane, t_ns, "tls" if data[pos] == _TLS_RECORD else "")

    # -- other lines ------------------------------------------------------------------------------------------------

    def _note(self, lane: Lane, signature: str, nbytes: int, t_ns: int, digest: str = "") -> None:
        number = self._next_number(lane)
        row = self._row(t_ns, number, lane.direction, signature, nbytes)
        self._emit((*row, *NO_CONTEXT, None, digest) if digest else row)
        if lane.watched:
            self._close(lane, lane.base, t_ns, (number, signature, nbytes, "none", NO_CONTEXT, digest, 0, True))

    def _connect(self, lane: Lane, _args: list[bytes], _data: bytes, start: int, body: int, t_ns: int) -> int:
        self._note(lane, "CONNECT", body - start, t_ns, self._cid)
        return body

    def _sub(self, lane: Lane, args: list[bytes], _data: bytes, start: int, body: int, t_ns: int) -> int:
        if not 3 <= len(args) <= 4:
            return BAD
        self._sids.add(args[-1], args[1])
        self._note(lane, subject_signature("SUB", args[1]), body - start, t_ns)
        return body

    def _unsub(self, lane: Lane, args: list[bytes], _data: bytes, start: int, body: int, t_ns: int) -> int:
        if not 2 <= len(args) <= 3:
            return BAD
        subject = self._sids.subject(args[1])
        if len(args) == 3:
            self._sids.limit(args[1], args[2])
        else:
            self._sids.drop(args[1])
        signature = "UNSUB" if subject is None else subject_signature("UNSUB", subject)
        self._note(lane, signature, body - start, t_ns)
        return body

    def _quiet(self, lane: Lane, _args: list[bytes], _data: bytes, _start: int, body: int, _t_ns: int) -> int:
        lane.unclaimed = ()
        return body

    def _err(self, lane: Lane, _args: list[bytes], data: bytes, start: int, body: int, t_ns: int) -> int:
        text = data[start:body].strip().decode("utf-8", "replace")[:_TEXT_CHARS]
        self._close(lane, lane.base + body, t_ns, (0, "", body - start, text, NO_CONTEXT, "", 0, False))
        return body

    def _info_line(self, _lane: Lane, _args: list[bytes], data: bytes, start: int, _body: int, t_ns: int) -> int:
        return self._pass_info(data, start + len(_INFO), t_ns)

    def _pass_info(self, data: bytes, start: int, t_ns: int) -> int:
        """Empty `connect_urls` in what is here of INFO; where that ends."""
        blanker = self._blanker = self._blanker or InfoBlanker()
        eol = data.find(b"\n", start)
        stop = len(data) if eol < 0 else eol
        before = blanker.blanked
        piece = blanker.feed(data[start:stop])
        self._info = (self._info + piece)[:_INFO_KEPT_BYTES]
        if blanker.blanked > before:
            self._changes.append((self.down.base + start, piece))
        if eol < 0:
            return stop
        match = _CLIENT_ID.search(self._info)
        if match is not None:
            self._cid = f"cid={match[1].decode()}"
        if blanker.blanked:
            row = (t_ns, "rewrite", self._link, self._connection, 0, "<", "INFO", blanker.blanked, ())
            self._emit((*row, "connect_urls emptied"))
        self._blanker, self._info = None, b""
        return eol + 1


_Handler = Callable[[NatsFramer, Lane, list[bytes], bytes, int, int, int], int]
_UP: dict[bytes, _Handler] = {
    b"PUB": NatsFramer._pub,
    b"HPUB": NatsFramer._hpub,
    b"SUB": NatsFramer._sub,
    b"UNSUB": NatsFramer._unsub,
    b"CONNECT": NatsFramer._connect,
    b"PING": NatsFramer._quiet,
    b"PONG": NatsFramer._quiet,
}
_DOWN: dict[bytes, _Handler] = {
    b"MSG": NatsFramer._msg,
    b"HMSG": NatsFramer._hmsg,
    b"INFO": NatsFramer._info_line,
    b"PING": NatsFramer._quiet,
    b"PONG": NatsFramer._quiet,
    b"+OK": NatsFramer._quiet,
    b"-ERR": NatsFramer._err,
}
