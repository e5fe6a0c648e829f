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

from chaos.model.wire_record import HOUSEKEEPING
from chaos.wire.messages import NO_CONTEXT, Faults
from chaos.wire.postgres_exchange import Work
from chaos.wire.postgres_reply import reply_tag, reply_text, sqlstate
from chaos.wire.postgres_requests import PLAIN, Handler, RequestSide

__all__ = ["PostgresFramer"]

_ENCRYPTED = {ord("S"): "tls", ord("G"): "gssapi"}
_NO = ord("N")
_STATES = {ord(state): f"tx={state}" for state in "ITE"}


class PostgresFramer(RequestSide):
    """One connection's framing; never raises, whatever it is fed."""

    __slots__ = ()

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
        closing = (number, HOUSEKEEPING + "ssl", 1, status, *PLAIN, False)
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
            self._close(self.down, stop, t_ns, (0, "", size, code, *PLAIN, False))
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
        state = _STATES.get(data[start], "") if start < len(data) else ""
        if state:
            self.told = state
        while self._work:
            work = self._work.popleft()
            if work.last:
                work.nbytes += stop - self._replied
                self._replied = stop
            self._finish(work, stop, t_ns, self._pid if work.signature == "startup" else state)
            if work.last:
                break

    def _copy(self, _data: bytes, _start: int, _seen: int, _size: int, _stop: int, _t_ns: int) -> None:
        self._copying, self._copied = self._current(), False

    def _finish(self, work: Work, stop: int, t_ns: int, digest: str = "") -> None:
        if work is self._copying:
            self._copying = None
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
            self._close(self.down, stop, t_ns, (number, signature, size, "none", *PLAIN, True))

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


# Section 54.7, message formats; None is passed over.
_BACKEND: dict[int, Handler | None] = {
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
    ord("G"): PostgresFramer._copy,
    **dict.fromkeys(b"23DdHWNRSVctv"),  # rows, COPY, notices, authentication, parameters and so on
}
