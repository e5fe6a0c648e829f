"""NATS messages both ways: published, delivered, answered."""

from __future__ import annotations

from collections.abc import Callable

from chaos.model.wire_record import HOUSEKEEPING
from chaos.wire.messages import MAX_MESSAGE_BYTES, NO_CONTEXT, Closing, Faults, Lane, MessageFramer, Row
from chaos.wire.nats_headers import read_headers
from chaos.wire.nats_message import Message
from chaos.wire.nats_sids import Subscriptions
from chaos.wire.nats_subject import INBOX, JS_ACK, JS_PULL, subject_signature

__all__ = ["BAD", "MORE", "NatsMessages"]

BAD, MORE = 0, -1
"""Answered instead of where a line or message ends: it is none, or more of it has to be seen first."""

_MAX_HEADER_BYTES = 65_536
_OPEN_LIMIT = 1_024
_IN_FLIGHT_NS = 10_000_000_000  # what waits longer for its answer is not hit by a cut any more
_REPLY_PEEK = 256  # so much of an answer is looked at for how it went
_CACHE_LIMIT = 4_096
_SPECIAL = (JS_ACK, INBOX)
_HEARTBEAT = HOUSEKEEPING + "heartbeat"
_VERBS = {">": "PUB", "<": "MSG"}
_signatures: dict[str, dict[bytes, str]] = {">": {}, "<": {}}


class NatsMessages(MessageFramer):
    """What both directions know of messages. The handlers of lines answer where in `data` the message ends, `BAD` or `MORE`."""

    __slots__ = ("_limited", "_opened", "_partial", "_sids")

    def __init__(self, link: str, connection: int, emit: Callable[[Row], None]) -> None:
        super().__init__(link, connection, emit)
        # Requests by reply subject that wait for an answer, oldest first: those of each direction.
        self._opened: dict[str, dict[bytes, Row]] = {">": {}, "<": {}}
        self._partial: dict[str, Message | None] = {">": None, "<": None}
        self._sids = Subscriptions()
        self._limited = self._sids.limited  # asked for each delivery

    def _pub(self, lane: Lane, args: list[bytes], data: bytes, start: int, body: int, t_ns: int) -> int:
        count = len(args)
        if count == 3:
            stop = self._known(lane, args[1], args[2], len(data), start, body, t_ns)
            return stop or self._message(lane, args[1], b"", b"", args[2], data, start, body, t_ns)
        return self._message(lane, args[1], args[2], b"", args[3], data, start, body, t_ns) if count == 4 else BAD

    def _hpub(self, lane: Lane, args: list[bytes], data: bytes, start: int, body: int, t_ns: int) -> int:
        if not 4 <= len(args) <= 5:
            return BAD
        reply = args[2] if len(args) == 5 else b""
        return self._message(lane, args[1], reply, args[-2], args[-1], data, start, body, t_ns)

    def _msg(self, lane: Lane, args: list[bytes], data: bytes, start: int, body: int, t_ns: int) -> int:
        count = len(args)
        if count == 4:
            stop = self._known(lane, args[1], args[3], len(data), start, body, t_ns)
            stop = stop or self._message(lane, args[1], b"", b"", args[3], data, start, body, t_ns)
        else:
            stop = self._message(lane, args[1], args[3], b"", args[4], data, start, body, t_ns) if count == 5 else BAD
        if stop > 0 and self._limited:
            self._sids.delivered(args[2])
        return stop

    def _hmsg(self, lane: Lane, args: list[bytes], data: bytes, start: int, body: int, t_ns: int) -> int:
        if not 5 <= len(args) <= 6:
            return BAD
        reply = args[3] if len(args) == 6 else b""
        stop = self._message(lane, args[1], reply, args[-2], args[-1], data, start, body, t_ns)
        if stop > 0 and self._limited:
            self._sids.delivered(args[2])
        return stop

    def _known(self, lane: Lane, subject: bytes, size: bytes, end: int, start: int, body: int, t_ns: int) -> int:
        """Record the most frequent kind of message the short way: no headers, no stages, a known subject, all of it here; 0 if not."""
        direction = lane.direction
        signature = _signatures[direction].get(subject)  # inboxes and acknowledgements never are among them
        if signature is None or lane.watched or lane.unclaimed or not size.isdigit() or len(size) > 9:
            return 0
        stop = body + int(size) + 2
        if stop > end or subject in self._opened["<" if direction == ">" else ">"]:
            return 0
        self._number = number = self._number + 1
        self._emit((t_ns, "request", self._link, self._connection, number, direction, signature, stop - start))
        return stop

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
        """Where the message ends; `MORE` if more of it has to be seen first, `BAD` if it is none."""
        if not size.isdigit() or len(size) > 10 or (header and not header.isdigit()):
            return BAD
        total, head = int(size), int(header) if header and len(header) < 10 else 0
        if total > MAX_MESSAGE_BYTES or head > total:
            return BAD
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
            return MORE
        message = Message(subject, reply, stop - start, total - head)
        if looked_at:
            message.status, message.context, message.digest = read_headers(data[body : body + head])
        if answers or special:
            row = opened.get(subject)
            message.answer(row, data[body + looked_at : min(body + total, body + looked_at + peek)])
            if row is not None and not message.goes_on:
                del opened[subject]
        if message.request or message.number < 0:
            known = _signatures[lane.direction].get(subject) or _signature(lane.direction, subject)
            message.signature = known if message.status != "100" else _HEARTBEAT
        self._begin(lane, message, data, body + head, stop, t_ns)
        return stop

    def _plain(self, lane: Lane, subject: bytes, nbytes: int, end: int, t_ns: int) -> None:
        """A message with neither headers nor an answer, all of it here: the most frequent kind."""
        signature = _signatures[lane.direction].get(subject) or _signature(lane.direction, subject)
        number = self._next_number(lane)
        self._emit((t_ns, "request", self._link, self._connection, number, lane.direction, signature, nbytes))
        if lane.watched:
            self._close(lane, end, t_ns, (number, signature, nbytes, "none", NO_CONTEXT, "", 0, True))

    def _begin(self, lane: Lane, message: Message, data: bytes, payload: int, stop: int, t_ns: int) -> None:
        if message.number < 0:
            message.number = self._next_number(lane)
        else:
            self._claim(lane, message.number)
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
            if self._seen and message.subject.startswith(JS_ACK):
                self._show_ack(message, direction, t_ns)
            self._close(lane, end, t_ns, message.closing())
            return
        row = (*self._row(t_ns, message.number, direction, message.signature, message.nbytes), *message.tail())
        self._emit(row)
        if message.reply and not message.subject.startswith(JS_PULL):
            self._open(self._opened[direction], "<" if direction == ">" else ">", message.reply, row, t_ns)
        elif lane.watched:
            self._close(lane, end, t_ns, (message.number, *row[6:8], "none", row[10:15], row[16], row[18], True))

    def _show_ack(self, message: Message, direction: str, t_ns: int) -> None:
        head = (t_ns, "ack", self._link, self._connection, message.number, direction, message.signature, message.nbytes)
        row = (*head, (), message.status, *message.tail())
        for seen in self._seen:
            seen(row)

    def _row(self, t_ns: int, number: int, direction: str, signature: str, nbytes: int) -> Row:
        return (t_ns, "request", self._link, self._connection, number, direction, signature, nbytes, (), "")

    def _open(self, opened: dict[bytes, Row], back: str, reply: bytes, row: Row, t_ns: int) -> None:
        given_up = opened.pop(reply, None)
        if given_up is None and len(opened) >= _OPEN_LIMIT:
            given_up = opened.pop(next(iter(opened)))
        if given_up is not None:
            self._write(t_ns, back, _closing(given_up, "unanswered"))
        opened[reply] = row

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


def _signature(direction: str, subject: bytes) -> str:
    cache, signature = _signatures[direction], subject_signature(_VERBS[direction], subject)
    if subject.startswith(_SPECIAL):
        return signature
    if len(cache) >= _CACHE_LIMIT:
        cache.clear()
    cache[subject] = signature
    return signature


def _closing(row: Row, status: str) -> Closing:
    # A message delivered with an inbox may be one that its publisher only wants stored: silence about it tells nothing.
    expected = row[5] == ">" or bool(row[18:] and row[18])
    context = row[10:15] if len(row) > 10 else NO_CONTEXT
    return (
        row[4],
        row[6],
        0,
        status,
        context,
        row[16] if len(row) > 16 else "",
        row[18] if len(row) > 18 else 0,
        not expected,
    )
