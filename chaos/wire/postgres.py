"""PostgreSQL protocol 3 framing of both directions of one connection (PostgreSQL 18 documentation, chapter 54).

A `request` stands for a simple query, an Execute (its statement followed from Parse by way of Bind and portal), the start-up, a
function call, a cancel request, or a notification delivered to the caller (direction `<`, no reply). Executes of one statement in a
row under one Sync are one request: what `executemany` sends is one operation. Exchanges end with ReadyForQuery. The `reply`'s status
is the SQLSTATE, or the command tag (`INSERT 0 1`; `ok` where there is none), `skipped` behind an error under the same Sync,
`aborted` without an end. A reply's digest is the transaction status that ReadyForQuery told, `tx=I`, `tx=T` or `tx=E`; the
start-up's is the backend's `pid=`. Statements prepared apart from their execution are `~prepare`, TLS requests `~ssl`.

Passwords, parameters and rows are passed over by their length and never looked at. Encrypted connections are raw from their first
encrypted byte, and the `raw` record's status says `tls` or `gssapi`.
"""

# ruff: noqa: SLF001 - the tables at the end name the machine's own methods
from __future__ import annotations

from collections import deque
from collections.abc import Callable
from struct import Struct

from chaos.model.wire_record import HOUSEKEEPING
from chaos.wire.messages import MAX_MESSAGE_BYTES, NO_CONTEXT, Faults, Lane, MessageFramer, Row
from chaos.wire.postgres_exchange import Statements, Work
from chaos.wire.postgres_reply import reply_tag, reply_text, sqlstate
from chaos.wire.sql import sql_signature

__all__ = ["PostgresFramer"]

PEEK_BYTES = 16_384
"""At most so much of a message is looked at; the rest is passed over."""

_OPEN_LIMIT = 4_096
_HEAD = Struct(">xI").unpack_from
_FIRST = Struct(">II").unpack_from
_MAX_FIRST = 10_000  # the server's own limit for a start-up packet
_TLS_RECORD = 0x16
_CANCEL, _SSL, _GSSAPI = 80_877_102, 80_877_103, 80_877_104
_ENCRYPTED = {ord("S"): "tls", ord("G"): "gssapi"}


class PostgresFramer(MessageFramer):
    """One connection's framing; never raises, whatever it is fed."""

    __slots__ = ("_asked", "_failed", "_group", "_pid", "_replied", "_started", "_statements", "_work")

    def __init__(self, link: str, connection: int, emit: Callable[[Row], None]) -> None:
        super().__init__(link, connection, emit)
        self._started = False  # the first packets, which have no type byte, are over
        self._asked = 0  # the number of the request for encryption that is not answered yet
        self._statements = Statements()
        self._work: deque[Work] = deque()  # what is not answered yet, oldest first
        self._group: list[Work] = []  # what came since the last Sync
        self._failed = False  # an error was told: everything up to the next ReadyForQuery is skipped
        self._replied = 0  # the offset to which replies are accounted for
        self._pid = ""

    # -- bytes from the caller --------------------------------------------------------------------------------------

    def feed_request(self, data: bytes, t_ns: int, *, watched: bool = False) -> None:
        """Bytes from the caller. `watched`: stages may act on them, so `mark` and `passed` will follow."""
        if self.raw:
            return
        lane = self.up
        data = self._enter(lane, data, watched=watched)
        if watched and self._group:
            lane.touched.append(self._group[-1].number)  # more of what its Sync will end
        if self._asked:
            if len(data) > PEEK_BYTES:
                self._go_raw(lane, t_ns)
            else:
                lane.carry = data
            return
        self._requests(data, t_ns)
        if watched and self._work and not lane.touched:
            lane.touched.append(self._work[-1].number)  # COPY data, a password, the rest of a long statement

    def _claims_later(self, lane: Lane) -> bool:
        return lane is self.up and (bool(lane.carry) or not lane.touched)

    def _requests(self, data: bytes, t_ns: int) -> None:
        pos = 0
        while not self._started:
            pos = self._first_packet(data, pos, t_ns)
            if pos < 0 or self.raw:
                return
        self._messages(self.up, _FRONTEND, data, pos, t_ns)

    def _messages(self, lane: Lane, table: dict[int, _Handler | None], data: bytes, pos: int, t_ns: int) -> None:
        if lane.skip:
            pos, lane.skip = pos + lane.skip, 0
        end = len(data)
        while pos + 5 <= end:
            handler = table.get(data[pos], _unknown)
            (size,) = _HEAD(data, pos)
            stop = pos + 1 + size
            if handler is _unknown or not 4 <= size <= MAX_MESSAGE_BYTES:
                self._go_raw(lane, t_ns)
                return
            if handler is not None:
                seen = min(stop, pos + PEEK_BYTES)
                if seen > end:
                    break
                handler(self, data, pos + 5, seen, stop - pos, lane.base + stop, t_ns)
                if self.raw:
                    return
            pos = stop
        if pos > end:
            lane.skip = pos - end
        else:
            lane.carry = data[pos:]

    def _first_packet(self, data: bytes, pos: int, t_ns: int) -> int:
        """Where the first packet ends, or -1 if it is not complete or the answer has to be waited for."""
        if data[pos : pos + 1] == b"\x16":
            self._go_raw(self.up, t_ns, "tls")  # TLS without asking
            return -1
        if len(data) - pos < 8:
            self.up.carry = data[pos:]
            return -1
        size, code = _FIRST(data, pos)
        if not 8 <= size <= _MAX_FIRST or (code >> 16 != 3 and code not in {_CANCEL, _SSL, _GSSAPI}):
            self._go_raw(self.up, t_ns)
            return -1
        if code in {_SSL, _GSSAPI}:
            self._asked = self._request(HOUSEKEEPING + "ssl", size, t_ns)
            self.up.carry = data[pos + size :]
            return -1
        if code == _CANCEL:
            number = self._request("cancel", size, t_ns)
            self._close(self.up, self.up.base + pos + size, t_ns, (number, "cancel", size, "none", *_PLAIN, True))
        else:
            self._add("startup", size, t_ns, last=True)
        self._started = True
        return pos + int(size)

    def _request(self, signature: str, nbytes: int, t_ns: int) -> int:
        number = self._next_number(self.up)
        self._emit((t_ns, "request", self._link, self._connection, number, ">", signature, nbytes))
        return number

    def _add(self, signature: str, nbytes: int, t_ns: int, *, last: bool = False, ends: bytes = b"") -> None:
        """One more thing to be answered; `last` under its Sync, or (`ends`) answered by one of these messages."""
        number = self._request(signature, nbytes, t_ns)
        work = Work(number, signature, last=last, ends=ends)
        if self._failed and not last:
            work.status = "skipped"
        self._work.append(work)
        self._group.append(work)
        if last:
            self._group = []
        if len(self._work) > _OPEN_LIMIT:
            self._go_raw(self.up, t_ns)

    def _query(self, data: bytes, start: int, seen: int, size: int, _: int, t_ns: int) -> None:
        self._prepared_apart(t_ns)
        stop = data.find(0, start, seen)
        self._add(sql_signature(data[start : seen if stop < 0 else stop]), size, t_ns, last=True)

    def _call(self, _data: bytes, _start: int, _seen: int, size: int, _: int, t_ns: int) -> None:
        self._add("function call", size, t_ns, last=True)

    def _parse(self, data: bytes, start: int, seen: int, size: int, _: int, t_ns: int) -> None:
        if not self._statements.parse(data, start, seen, size):
            self._go_raw(self.up, t_ns)

    def _bind(self, data: bytes, start: int, seen: int, _size: int, _: int, t_ns: int) -> None:
        if not self._statements.bind(data, start, seen):
            self._go_raw(self.up, t_ns)

    def _describe(self, data: bytes, start: int, seen: int, size: int, _: int, _t_ns: int) -> None:
        self._statements.describe(data, start, seen, size)

    def _execute(self, data: bytes, start: int, seen: int, size: int, _: int, t_ns: int) -> None:
        signature = self._statements.executed(data, start, seen)
        if self._group and not self._group[-1].ends and self._group[-1].signature == signature:
            self._group[-1].executes += 1
        else:
            self._add(signature, size, t_ns)

    def _drop(self, data: bytes, start: int, seen: int, _size: int, _: int, _t_ns: int) -> None:
        self._statements.close(data, start, seen)

    def _flush(self, _data: bytes, _start: int, _seen: int, _size: int, _: int, t_ns: int) -> None:
        self._prepared_apart(t_ns)

    def _sync(self, _data: bytes, _start: int, _seen: int, _size: int, _: int, t_ns: int) -> None:
        self._prepared_apart(t_ns)
        if self._group:
            self._group[-1].last = True
        else:
            self._work.append(Work(0, "", last=True))
            if len(self._work) > _OPEN_LIMIT:
                self._go_raw(self.up, t_ns)
        self._group = []

    def _prepared_apart(self, t_ns: int) -> None:
        """Statements were parsed or described since, and none was executed: that is work of its own."""
        signature, nbytes, ends = self._statements.apart()
        if signature:
            self._add(HOUSEKEEPING + "prepare " + signature, nbytes, t_ns, ends=ends)

    # -- bytes for the caller ---------------------------------------------------------------------------------------

    def feed_reply(self, data: bytes, t_ns: int, *, watched: bool = False) -> None:
        """Bytes from the callee. `watched`: stages may act on them, so `mark` and `passed` will follow."""
        if self.raw:
            return
        lane = self.down
        data = self._enter(lane, data, watched=watched)
        if watched and self._work:
            lane.touched.append(self._work[0].number)
        pos = 0
        if self._asked and data:
            pos = 1
            if not self._answered(data[0], t_ns):
                return
        self._messages(lane, _BACKEND, data, pos, t_ns)

    def _answered(self, answer: int, t_ns: int) -> bool:
        """The one byte that answers a request for encryption; False if nothing can be framed behind it."""
        number, self._asked = self._asked, 0
        status = chr(answer) if answer in b"SGNE" else "?"
        closing = (number, HOUSEKEEPING + "ssl", 1, status, *_PLAIN, False)
        self._close(self.down, self.down.base + 1, t_ns, closing)
        self._replied = self.down.base + 1
        if answer != _NO:
            self._go_raw(self.down, t_ns, _ENCRYPTED.get(answer, ""))
            return False
        held, self.up.carry = self.up.carry, b""
        self.up.base = self.up.entered - len(held)
        self._requests(held, t_ns)
        return not self.raw

    def _current(self) -> Work | None:
        """What the callee is answering now: the oldest that is neither answered nor left to its ReadyForQuery."""
        for work in self._work:
            if not work.answered or work.last:
                return work
        return None

    def _complete(self, data: bytes, start: int, seen: int, _size: int, stop: int, _t_ns: int) -> None:
        self._answer(reply_tag(data, start, seen), stop)

    def _empty(self, _data: bytes, _start: int, _seen: int, _size: int, stop: int, _t_ns: int) -> None:
        self._answer("ok", stop)

    def _suspended(self, _data: bytes, _start: int, _seen: int, _size: int, stop: int, _t_ns: int) -> None:
        self._answer("suspended", stop)

    def _answer(self, status: str, stop: int) -> None:
        work = self._current()
        if work is not None:
            work.answer(status, stop - self._replied)
            self._replied = stop

    def _described(self, data: bytes, start: int, _seen: int, _size: int, stop: int, t_ns: int) -> None:
        work = self._work[0] if self._work else None
        if work is not None and work.ends and not work.answered and data[start - 5] in work.ends:
            self._answer("ok", stop)
            if not work.last:
                self._work.popleft()
                self._group = [one for one in self._group if one is not work]
                self._finish(work, stop, t_ns)

    def _error(self, data: bytes, start: int, seen: int, size: int, stop: int, t_ns: int) -> None:
        code = sqlstate(data, start, seen)
        if not self._work:
            self._close(self.down, stop, t_ns, (0, "", size, code, *_PLAIN, False))
            self._replied = stop
            return
        self._failed = True
        failing = self._current()
        for work in self._work:
            if work is failing:
                work.fail(code, stop)
                code = "skipped"
            elif not work.answered:
                work.fail(code, stop)
            if work.last:
                break
        else:
            if failing is None:
                self._work[-1].fail(code, stop)
        if self._work[0].signature == "startup":  # no ReadyForQuery follows
            self._ready(b"E", 0, 1, 0, stop, t_ns)

    def _ready(self, data: bytes, start: int, _seen: int, _size: int, stop: int, t_ns: int) -> None:
        self._failed = False
        if not any(work.last for work in self._work):
            return
        state = "tx=" + chr(data[start]) if data[start] in b"ITE" else ""
        while self._work:
            work = self._work.popleft()
            if work.last:
                work.nbytes += stop - self._replied
                self._replied = stop
            self._finish(work, stop, t_ns, self._pid if work.signature == "startup" else state)
            if work.last:
                break

    def _finish(self, work: Work, stop: int, t_ns: int, digest: str = "") -> None:
        if work.number:
            closing = (work.number, work.signature, work.nbytes, work.status or "ok", NO_CONTEXT, digest, 0, False)
            self._close(self.down, stop, t_ns, closing)

    def _key(self, data: bytes, start: int, seen: int, _size: int, _stop: int, _t_ns: int) -> None:
        if seen - start >= 4:
            self._pid = f"pid={int.from_bytes(data[start : start + 4])}"

    def _notified(self, data: bytes, start: int, seen: int, size: int, stop: int, t_ns: int) -> None:
        number = self._next_number(self.down)
        signature = "NOTIFY " + reply_text(data, start + 4, seen)
        self._emit((t_ns, "request", self._link, self._connection, number, "<", signature, size))
        if self.down.watched:
            self._close(self.down, stop, t_ns, (number, signature, size, "none", *_PLAIN, True))

    # -- the end ----------------------------------------------------------------------------------------------------

    def end(self, t_ns: int, faults: Faults = ()) -> None:
        """The connection is gone: what is open is aborted. `faults` cut it. Nothing may be fed afterwards."""
        status = "unframed" if self.raw else "aborted"
        self._end_leaving(t_ns, faults, "aborted")
        if self._asked:
            self._work.appendleft(Work(self._asked, HOUSEKEEPING + "ssl", last=True))
        self.raw, self._asked = True, 0
        told = self.down.left if self.down.watched else self.down.entered
        self.down.watched = False
        for work in self._work:
            self._mark(work.number, faults)
            work.status = work.status if work.failed and work.failed_at <= told else status
            self._finish(work, 0, t_ns)
        self._work.clear()
        self._group = []


def _unknown(*_: object) -> None:
    """Stands for every type that no table names."""


_Handler = Callable[[PostgresFramer, bytes, int, int, int, int, int], None]
_NO = ord("N")
_PLAIN = (NO_CONTEXT, "", 0)

# What each type of message means to the framing; None is passed over. Section 54.7, message formats.
_FRONTEND: dict[int, _Handler | None] = {
    ord("Q"): PostgresFramer._query,
    ord("P"): PostgresFramer._parse,
    ord("B"): PostgresFramer._bind,
    ord("D"): PostgresFramer._describe,
    ord("E"): PostgresFramer._execute,
    ord("C"): PostgresFramer._drop,
    ord("H"): PostgresFramer._flush,
    ord("S"): PostgresFramer._sync,
    ord("F"): PostgresFramer._call,
    **dict.fromkeys(b"dcfpX"),  # COPY data, its end and failure, passwords, Terminate
}
_BACKEND: dict[int, _Handler | None] = {
    ord("C"): PostgresFramer._complete,
    ord("E"): PostgresFramer._error,
    ord("Z"): PostgresFramer._ready,
    ord("I"): PostgresFramer._empty,
    ord("s"): PostgresFramer._suspended,
    ord("1"): PostgresFramer._described,
    ord("T"): PostgresFramer._described,
    ord("n"): PostgresFramer._described,
    ord("K"): PostgresFramer._key,
    ord("A"): PostgresFramer._notified,
    **dict.fromkeys(b"23DdGHWNRSVctv"),  # rows, COPY, notices, authentication, parameters and so on
}
