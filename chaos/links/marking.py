"""Marks of faults that another proxy did, put into our recorder's log. Pure; times are arguments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

__all__ = ["Marker"]

_MESSAGES = frozenset({"request", "reply"})
_FORGET_NS = 60_000_000_000  # batches are shipped every 5 ms; what comes a minute late is not marked any more


@dataclass(slots=True)
class _Spell:
    """When a fault was surely on: between the reply to the request that began it and the request that ended it."""

    fault: str
    link: str
    sure_ns: int
    ends_connections: bool
    until_ns: int | None = None

    def covers(self, link: str, t_ns: int) -> bool:
        return link == self.link and self.sure_ns <= t_ns and (self.until_ns is None or t_ns <= self.until_ns)


class Marker:
    """`mark` adds a fault's name to what passed its link while it was surely on; `take` gives the records of its onset and end.

    The onset told is the earliest moment at which it may have begun, the end the latest. Messages are marked. The end of a connection is only
    if the fault ends connections, or if that is all there is to see of what passed: nothing was framed, and it was opened in that time, too.
    `told` is called when there is something to take.
    """

    def __init__(self, told: Callable[[], None] = lambda: None) -> None:
        self._spells: list[_Spell] = []
        self._ends: dict[tuple[str, str], tuple[int, str]] = {}
        self._opened: dict[tuple[str, int], int] = {}
        self._records: list[tuple[Any, ...]] = []
        self._told = told

    def asked(self, fault: str, link: str, t_ns: int) -> None:
        """It is asked for: from here on it may be on."""
        self._tell((t_ns, "on", link, 0, 0, "", "", 0, (fault,)))

    def sure(self, fault: str, link: str, t_ns: int, *, ends_connections: bool = False) -> None:
        """It is on, and takes every connection."""
        self._spells.append(_Spell(fault, link, t_ns, ends_connections))

    def unsure(self, fault: str, link: str, t_ns: int) -> None:
        """Its end is asked for: from here on it may be gone."""
        for one in self._spells:
            if (one.fault, one.link) == (fault, link) and one.until_ns is None:
                one.until_ns = t_ns

    def ends(self, fault: str, link: str, t_ns: int, how: str) -> None:
        """It is gone."""
        self.unsure(fault, link, t_ns)
        self._tell((t_ns, "off", link, 0, 0, "", "", 0, (fault,), how))

    def ends_there(self, fault: str, link: str, t_ns: int, how: str) -> None:
        """The recorder is about to be told to end one of its own: it will say `healed`, whyever."""
        self._ends[fault, link] = t_ns, how

    def take(self) -> list[bytes]:
        """Batches of what is to be told."""
        records, self._records = self._records, []
        return [msgspec.msgpack.encode(records)] if records else []

    def mark(self, batch: bytes) -> bytes:
        """The batch with its marks; untouched where no fault was on."""
        if not self._spells and not self._ends:
            return batch
        records: list[list[Any]] = msgspec.msgpack.decode(batch)
        changed = False
        for record in records:
            changed = self._mark(record) or changed
        if records:
            self._forget(records[-1][0] - _FORGET_NS)
        return msgspec.msgpack.encode(records) if changed else batch

    def _tell(self, record: tuple[Any, ...]) -> None:
        self._records.append(record)
        self._told()

    def _forget(self, before_ns: int) -> None:
        self._spells = [one for one in self._spells if one.until_ns is None or one.until_ns > before_ns]
        self._ends = {key: end for key, end in self._ends.items() if end[0] > before_ns}
        if not self._spells:
            self._opened.clear()

    def _mark(self, record: list[Any]) -> bool:
        if record[1] == "off":
            return self._say_why(record)
        faults = self._faults(record)
        if faults:
            record += [0, 0, "", "", 0, ()][len(record) - 3 :]
            record[8] = (*record[8], *faults)
        return bool(faults)

    def _say_why(self, record: list[Any]) -> bool:
        _, how = self._ends.pop((record[8][0], record[2]), (0, ""))
        if not how or record[9] != "healed":
            return False
        record[9] = how
        return True

    def _faults(self, record: list[Any]) -> list[str]:
        t_ns, kind, link = record[:3]
        spells = [one for one in self._spells if one.covers(link, t_ns)]
        if kind == "open" and spells:
            self._opened[link, record[3]] = t_ns
        elif kind == "close":
            opened_ns = self._opened.pop((link, record[3]), 0)
            passed = record[7] > 0
            return [one.fault for one in spells if one.ends_connections or (passed and one.covers(link, opened_ns))]
        elif kind in _MESSAGES:
            self._opened.pop((link, record[3]), None)
            return [one.fault for one in spells]
        return []
