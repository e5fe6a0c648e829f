"""What a caller of PostgreSQL asks: first packets, simple and extended queries, and what has to be answered in which order."""

# ruff: noqa: SLF001 - the table at the end names the machine's own methods
from __future__ import annotations

from collections import deque
from collections.abc import Callable
from struct import Struct
from typing import Any

from chaos.model.wire_record import HOUSEKEEPING
from chaos.wire.messages import MAX_MESSAGE_BYTES, NO_CONTEXT, Lane, MessageFramer, Row
from chaos.wire.postgres_exchange import Statements, Work
from chaos.wire.sql import sql_signature

__all__ = ["PLAIN", "Handler", "RequestSide"]

PEEK_BYTES = 16_384
"""At most so much of a message is looked at; the rest is passed over."""

_OPEN_LIMIT = 4_096
_HEAD = Struct(">BI").unpack_from
_FIRST = Struct(">II").unpack_from
_MAX_FIRST = 10_000  # the server's own limit for a start-up packet
_TLS_RECORD = 0x16
_CANCEL, _SSL, _GSSAPI = 80_877_102, 80_877_103, 80_877_104

Handler = Callable[[Any, bytes, int, int, int, int, int], None]
"""Takes the framer, the bytes, where the body starts, how far it may be looked at, the message's size, its end's offset, the time."""

PLAIN = (NO_CONTEXT, "", 0)
"""What a closing says beyond number, signature, bytes and status where there is no more to say."""


def _unknown(*_: object) -> None:
    """Stands for every type that no table names."""


class RequestSide(MessageFramer):
    """The caller's half of a connection's framing, and what both halves know."""

    __slots__ = (
        "_asked",
        "_copied",
        "_copying",
        "_failed",
        "_group",
        "_pid",
        "_replied",
        "_statements",
        "_work",
        "opened",
        "told",
    )

    def __init__(self, link: str, connection: int, emit: Callable[[Row], None]) -> None:
        super().__init__(link, connection, emit)
        self.opened = False  # the first packets, which have no type byte, are over
        self.told = "tx=I"  # the transaction's state, as the latest ReadyForQuery told it
        self._asked = 0  # the number of the request for encryption that is not answered yet
        self._statements = Statements()
        self._work: deque[Work] = deque()  # what is not answered yet, oldest first
        self._group: list[Work] = []  # what came since the last Sync
        self._failed = False  # an error was told: everything up to the next ReadyForQuery is skipped
        self._copying: Work | None = None  # whose COPY data the caller sends
        self._copied = False  # and has sent to its end
        self._replied = 0  # the offset to which replies are accounted for
        self._pid = ""

    @property
    def state(self) -> str:
        """The transaction's state, as the latest ReadyForQuery told it: I, T or E."""
        return self.told[-1]

    @property
    def at_rest(self) -> bool:
        """Whether everything that was asked is answered."""
        asked = self._asked or self._work or self._group or self._statements.prepared
        return super().at_rest and not asked

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
        while not self.opened:
            pos = self._first_packet(data, pos, t_ns)
            if pos < 0 or self.raw:
                return
        self._messages(self.up, _FRONTEND, data, pos, t_ns)

    def _messages(self, lane: Lane, table: dict[int, Handler | None], data: bytes, pos: int, t_ns: int) -> None:
        if lane.skip:
            pos, lane.skip = pos + lane.skip, 0
        end = len(data)
        last = end - 5
        while pos <= last:
            kind, size = _HEAD(data, pos)
            handler = table.get(kind, _unknown)
            if handler is _unknown or size < 4 or size > MAX_MESSAGE_BYTES:
                self._go_raw(lane, t_ns)
                return
            stop = pos + 1 + size
            if handler is not None:
                seen = stop if size < PEEK_BYTES else pos + PEEK_BYTES
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
            self._close(self.up, self.up.base + pos + size, t_ns, (number, "cancel", size, "none", *PLAIN, True))
        else:
            self._add("startup", size, t_ns, last=True)
        self.opened = True
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
            self._group[-1].last = self._group[-1].synced = True
        elif self._copying is not None and (not self._copied or self._copying.synced):
            # During COPY the server passes over it (section 54.2.6): the one sent with the question is lost, and sent again.
            if self._copied:
                self._copying = None
        else:
            self._work.append(Work(0, "", last=True))
            if len(self._work) > _OPEN_LIMIT:
                self._go_raw(self.up, t_ns)
        self._group = []

    def _copy_ends(self, _data: bytes, _start: int, _seen: int, _size: int, _: int, _t_ns: int) -> None:
        if self._copying is None and self._work:  # it did not wait for the callee to agree
            self._copying = self._work[-1]
        self._copied = True

    def _prepared_apart(self, t_ns: int) -> None:
        """Statements were parsed or described since, and none was executed: that is work of its own."""
        if not self._statements.prepared:
            return
        signature, nbytes, ends = self._statements.apart()
        if signature:
            self._add(HOUSEKEEPING + "prepare " + signature, nbytes, t_ns, ends=ends)


# What each type of message means to the framing; None is passed over. Section 54.7, message formats.
_FRONTEND: dict[int, Handler | None] = {
    ord("Q"): RequestSide._query,
    ord("P"): RequestSide._parse,
    ord("B"): RequestSide._bind,
    ord("D"): RequestSide._describe,
    ord("E"): RequestSide._execute,
    ord("C"): RequestSide._drop,
    ord("H"): RequestSide._flush,
    ord("S"): RequestSide._sync,
    ord("F"): RequestSide._call,
    ord("c"): RequestSide._copy_ends,
    ord("f"): RequestSide._copy_ends,
    **dict.fromkeys(b"dpX"),  # COPY data, passwords, Terminate
}
