"""Marks of faults that another proxy did, put into our recorder's log. Pure; times are arguments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

__all__ = ["Marker"]

_MARKED = frozenset({"request", "reply", "close"})
_FORGET_NS = 60_000_000_000  # batches are shipped every 5 ms; what comes a minute late is not marked any more


@dataclass(slots=True)
class _Spell:
    """When a fault was surely on: between the reply to the request that began it and the request that ended it."""

    fault: str
    link: str
    sure_ns: int
    until_ns: int | None = None
    all_hit: bool = True


class Marker:
    """`mark` adds a fault's name to what passed its link while it was surely on; `take` gives the records of its onset and end.

    The onset told is the earliest moment at which it may have begun, the end the latest.
    """

    def __init__(self) -> None:
        self._spells: list[_Spell] = []
        self._told: list[tuple[Any, ...]] = []

    def begins(self, fault: str, link: str, asked_ns: int, *, sure_ns: int, all_hit: bool) -> None:
        """It was asked for and has answered; not `all_hit`: nobody knows which connections it took."""
        self._spells.append(_Spell(fault, link, sure_ns, all_hit=all_hit))
        self._told.append((asked_ns, "on", link, 0, 0, "", "", 0, (fault,)))

    def unsure(self, fault: str, link: str, t_ns: int) -> None:
        """Its end is asked for: from here on it may be gone."""
        for one in self._spells:
            if (one.fault, one.link) == (fault, link) and one.until_ns is None:
                one.until_ns = t_ns

    def ends(self, fault: str, link: str, t_ns: int, how: str) -> None:
        """It is gone."""
        self.unsure(fault, link, t_ns)
        self._told.append((t_ns, "off", link, 0, 0, "", "", 0, (fault,), how))

    def take(self) -> list[bytes]:
        """Batches of what is to be told."""
        told, self._told = self._told, []
        return [msgspec.msgpack.encode(told)] if told else []

    def mark(self, batch: bytes) -> bytes:
        """The batch with its marks; untouched where no fault was on."""
        if not self._spells:
            return batch
        records: list[list[Any]] = msgspec.msgpack.decode(batch)
        changed = False
        for record in records:
            changed = self._mark(record) or changed
        if records:
            last_ns = records[-1][0]
            self._spells = [one for one in self._spells if one.until_ns is None or one.until_ns > last_ns - _FORGET_NS]
        return msgspec.msgpack.encode(records) if changed else batch

    def _mark(self, record: list[Any]) -> bool:
        t_ns, kind, link = record[:3]
        faults = [one.fault for one in self._spells if kind in _MARKED and link == one.link and _covers(one, t_ns)]
        if not faults:
            return False
        record += [0, 0, "", "", 0, ()][len(record) - 3 :]
        record[8] = (*record[8], *faults)
        return True


def _covers(one: _Spell, t_ns: int) -> bool:
    return one.all_hit and one.sure_ns <= t_ns and (one.until_ns is None or t_ns <= one.until_ns)
