"""NATS client protocol framing of both directions of one connection (NATS documentation, client protocol; ADR-4 for headers).

A `request` is a message: published by the caller (`PUB tasks.run`, direction `>`) or delivered to it (`MSG tasks.run`, `<`), with or
without headers; also `SUB`, `UNSUB` and `CONNECT`. It is recorded once its last byte is there. A message with a reply subject is
answered by the first message the other way on that subject: the `reply` carries its number and trace. So the acknowledgement of a
JetStream delivery is the delivery's reply, with the signature `PUB $JS.ACK.STREAM.consumer`, the delivery count, and the status `+ACK`,
`-NAK`, `+TERM` (`+WPI` leaves it open). Other statuses: `ok`, a NATS status (`503`: no responders), `err N` of JetStream's API,
`unanswered` when the exchange is given up, `aborted` when the connection ends before. Pulls (`$JS.API.CONSUMER.MSG.NEXT`) are answered
by deliveries and have no reply of their own; what no request is known for has number 0, as has `-ERR`. A digest is the Nats-Msg-Id, or
of the payload where there is a trace id; of CONNECT, which is never looked into, the server's `cid=`.

PING, PONG and +OK are not recorded; idle heartbeats are `~heartbeat`. INFO's `connect_urls` are emptied (see `nats_info`).
"""

# ruff: noqa: SLF001 - the tables at the end name the machine's own methods
from __future__ import annotations

import re
from collections.abc import Callable

from chaos.wire.messages import MAX_MESSAGE_BYTES, NO_CONTEXT, Closing, Faults, Lane, MessageFramer, Row
from chaos.wire.nats_headers import read_headers
from chaos.wire.nats_info import InfoBlanker
from chaos.wire.nats_message import Message
from chaos.wire.nats_subject import INBOX, JS_ACK, JS_PULL, subject_signature

__all__ = ["NatsFramer"]

MAX_LINE_BYTES = 32_768
"""Bytes of a line after which a stream counts as one that cannot be framed; CONNECT may carry a long token."""

_MAX_HEADER_BYTES = 65_536
_OPEN_LIMIT = 1_024
_IN_FLIGHT_NS = 10_000_000_000  # what waits longer for its answer is not hit by a cut any more
_REPLY_PEEK = 256  # so much of an answer is looked at for how it went
_CACHE_LIMIT = 4_096
_TEXT_CHARS = 200
_TLS_RECORD = 0x16
_SPECIAL = (JS_ACK, INBOX)
_VERBS = {">": "PUB", "<": "MSG"}
_signatures: dict[str, dict[bytes, str]] = {">": {}, "<": {}}
_INFO = b"INFO "
_INFO_KEPT_BYTES = 65_536
_CLIENT_ID = re.compile(rb'"client_id":[ ]*(\d{1,20})')
_FIRST_BYTES = {">": frozenset(b"PpHhSsUuCc+-\r\n"), "<": frozenset(b"MmHhIiPp+-\r\n")}


class NatsFramer(MessageFramer):
    """One connection's framing; never raises, whatever it is fed."""

    __slots__ = ("_blanker", "_changes", "_cid", "_info", "_opened", "_partial", "_sids")

    def __init__(self, link: str, connection: int, emit: Callable[[Row], None]) -> None:
        super().__init__(link, connection, emit)
        # Requests by reply subject that wait for an answer, oldest first: those of each direction.
        self._opened: dict[str, dict[bytes, Row]] = {">": {}, "<": {}}
        self._partial: dict[str, Message | None] = {">": None, "<": None}
        self._sids: dict[bytes, str] = {}
        self._blanker: InfoBlanker | None = None  # of the INFO whose line is not over
        self._changes: list[tuple[int, bytes]] = []
        self._info = b""
        self._cid = ""

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
            stop = _BAD if handler is None else handler(self, lane, args, data, pos, eol + 1, t_ns)
            if stop <= 0:
                if stop == _MORE:
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

    # -- messages ---------------------------------------------------------------------------------------------------

    def _pub(self, lane: Lane, args: list[bytes], data: bytes, start: int, body: int, t_ns: int) -> int:
        count = len(args)
        if count == 3:
            return self._message(lane, args[1], b"", b"", args[2], data, start, body, t_ns)
        return self._message(lane, args[1], args[2], b"", args[3], data, start, body, t_ns) if count == 4 else _BAD

    def _hpub(self, lane: Lane, args: list[bytes], data: bytes, start: int, body: int, t_ns: int) -> int:
        if not 4 <= len(args) <= 5:
            return _BAD
        reply = args[2] if len(args) == 5 else b""
        return self._message(lane, args[1], reply, args[-2], args[-1], data, start, body, t_ns)

    def _msg(self, lane: Lane, args: list[bytes], data: bytes, start: int, body: int, t_ns: int) -> int:
        count = len(args)
        if count == 4:
            return self._message(lane, args[1], b"", b"", args[3], data, start, body, t_ns)
        return self._message(lane, args[1], args[3], b"", args[4], data, start, body, t_ns) if count == 5 else _BAD

    def _hmsg(self, lane: Lane, args: list[bytes], data: bytes, start: int, body: int, t_ns: int) -> int:
        if not 5 <= len(args) <= 6:
            return _BAD
        reply = args[3] if len(args) == 6 else b""
        return self._message(lane, args[1], reply, args[-2], args[-1], data, start, body, t_ns)

    def _message(
        self,
        lane: Lane,
        subject: bytes,
        reply: bytes,
        header: bytes,
        size: bytes,
        data: bytes,
        start: int,
        body: int,
        t_ns: int,
    ) -> int:
        """Where the message ends; `_MORE` if more of it has to be seen first, `_BAD` if it is none."""
        if not size.isdigit() or len(size) > 10 or (header and not header.isdigit()):
            return _BAD
        total, head = int(size), int(header) if header and len(header) < 10 else 0
        if total > MAX_MESSAGE_BYTES or head > total:
            return _BAD
        stop = body + total + 2
        opened = self._opened["<" if lane is self.up else ">"]
        answers = subject in opened
        special = answers or subject.startswith(_SPECIAL)
        if not header and not special and not reply and stop <= len(data):
            self._plain(lane, subject, stop - start, lane.base + stop, t_ns)
            return stop
        peek = _REPLY_PEEK if special else 0
        looked_at = head if head <= _MAX_HEADER_BYTES else 0
        if body + min(total, looked_at + peek) > len(data):
            return _MORE
        message = Message(subject, reply, stop - start, total - head)
        if looked_at:
            message.status, message.context, message.digest = read_headers(data[body : body + head])
        if answers or special:
            row = opened.get(subject)
            message.answer(row, data[body + looked_at : min(body + total, body + looked_at + peek)])
            if row is not None and not message.goes_on:
                del opened[subject]
        if message.request or message.number < 0:
            message.name(_VERBS[lane.direction], subject)
        self._begin(lane, message, data, body + head, stop, t_ns)
        return stop

    def _plain(self, lane: Lane, subject: bytes, nbytes: int, end: int, t_ns: int) -> None:
        """A message with neither headers nor an answer, all of it here: the most frequent kind."""
        cache = _signatures[lane.direction]
        signature = cache.get(subject)
        if signature is None:
            signature = subject_signature(_VERBS[lane.direction], subject)
            if len(cache) >= _CACHE_LIMIT:
                cache.clear()
            cache[subject] = signature
        number = self._next_number(lane)
        self._emit((t_ns, "request", self._link, self._connection, number, lane.direction, signature, nbytes))
        if lane.watched:
            self._close(lane, end, t_ns, (number, signature, nbytes, "none", NO_CONTEXT, "", 0, True))

    def _begin(self, lane: Lane, message: Message, data: bytes, payload: int, stop: int, t_ns: int) -> None:
        if message.number < 0:
            message.number = self._next_number(lane)
        elif lane.watched:
            lane.touched.append(message.number)
        if stop <= len(data):
            message.see(data, payload, stop - 2)
            self._finish(lane, message, lane.base + stop, t_ns)
        else:
            message.see(data, min(payload, len(data)), len(data))
            self._partial[lane.direction] = message

    def _pass_payload(self, lane: Lane, data: bytes, t_ns: int) -> int:
        """The rest of a message that came in pieces; where it ends."""
        stop = lane.skip
        lane.skip = 0
        message = self._partial[lane.direction]
        if message is not None:
            if lane.watched:
                lane.touched.append(message.number)
            message.see(data, 0, min(stop, len(data)))
            if stop <= len(data):
                self._partial[lane.direction] = None
                self._finish(lane, message, lane.base + stop, t_ns)
        if stop > len(data):
            lane.skip = stop - len(data)
        return stop

    def _finish(self, lane: Lane, message: Message, end: int, t_ns: int) -> None:
        """All of a message is here: record it, and whether it is to be answered."""
        direction = lane.direction
        if not message.request:
            self._close(lane, end, t_ns, message.closing())
            return
        row = (*self._row(t_ns, message.number, direction, message.signature, message.nbytes), *message.tail())
        self._emit(row)
        if message.reply and not message.subject.startswith(JS_PULL):
            self._open(self._opened[direction], "<" if direction == ">" else ">", message.reply, row, t_ns)
        elif lane.watched:
            self._close(lane, end, t_ns, (message.number, *row[6:8], "none", row[10:15], row[16], row[18], True))

    def _row(self, t_ns: int, number: int, direction: str, signature: str, nbytes: int) -> Row:
        return (t_ns, "request", self._link, self._connection, number, direction, signature, nbytes, (), "")

    def _open(self, opened: dict[bytes, Row], back: str, reply: bytes, row: Row, t_ns: int) -> None:
        given_up = opened.pop(reply, None)
        if given_up is None and len(opened) >= _OPEN_LIMIT:
            given_up = opened.pop(next(iter(opened)))
        if given_up is not None:
            self._write(t_ns, back, _closing(given_up, "unanswered"))
        opened[reply] = row

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
            return _BAD
        signature = subject_signature("SUB", args[1])
        if len(self._sids) >= _CACHE_LIMIT:
            del self._sids[next(iter(self._sids))]
        self._sids[args[-1]] = signature
        self._note(lane, signature, body - start, t_ns)
        return body

    def _unsub(self, lane: Lane, args: list[bytes], _data: bytes, start: int, body: int, t_ns: int) -> int:
        if not 2 <= len(args) <= 3:
            return _BAD
        signature = self._sids.get(args[1], "SUB") if len(args) == 3 else self._sids.pop(args[1], "SUB")
        self._note(lane, "UN" + signature, body - start, t_ns)
        return body

    def _quiet(self, _lane: Lane, _args: list[bytes], _data: bytes, _start: int, body: int, _t_ns: int) -> int:
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

    # -- the end ----------------------------------------------------------------------------------------------------

    def end(self, t_ns: int, faults: Faults = ()) -> None:
        """The connection is gone: what is open is aborted. `faults` cut it. Nothing may be fed afterwards."""
        status = "unframed" if self.raw else "aborted"
        self._end_leaving(t_ns, faults, "aborted")
        self.up.watched = self.down.watched = False
        self.raw = True
        for lane in (self.up, self.down):
            message = self._partial[lane.direction]
            if message is not None:
                self._mark(message.number, faults)
                self._abort(lane, message, t_ns, status)
        for direction, back in ((">", "<"), ("<", ">")):
            for row in self._opened[direction].values():
                in_flight = t_ns - row[0] < _IN_FLIGHT_NS
                if in_flight:
                    self._mark(row[4], faults)
                self._write(t_ns, back, _closing(row, status if in_flight else "unanswered"))
            self._opened[direction] = {}

    def _abort(self, lane: Lane, message: Message, t_ns: int, status: str) -> None:
        """A message of which the rest will not come."""
        if message.request:
            row = self._row(t_ns, message.number, lane.direction, message.signature, message.nbytes)
            self._emit((*row[:9], status, *message.context))
        message.status = status
        self._write(t_ns, lane.direction, (*message.closing()[:7], False))


def _closing(row: Row, status: str) -> Closing:
    context = row[10:15] if len(row) > 10 else NO_CONTEXT
    return (
        row[4],
        row[6],
        0,
        status,
        context,
        row[16] if len(row) > 16 else "",
        row[18] if len(row) > 18 else 0,
        False,
    )


_BAD, _MORE = 0, -1
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
