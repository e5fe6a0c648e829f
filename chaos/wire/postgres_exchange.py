"""PostgreSQL exchanges under way: what is still to be answered, and which name stands for which statement."""

from __future__ import annotations

from chaos.wire.sql import sql_signature

__all__ = ["Statements", "Work"]

_NAMES_LIMIT = 4_096
_UNKNOWN = "EXECUTE"  # of a statement prepared before we saw the connection, or by SQL


class Work:
    """One thing that the callee has to answer. `number` is 0 for a Sync with nothing before it."""

    __slots__ = (
        "answered",
        "ends",
        "executes",
        "failed",
        "failed_at",
        "last",
        "nbytes",
        "number",
        "signature",
        "status",
        "synced",
    )

    def __init__(self, number: int, signature: str, *, last: bool = False, ends: bytes = b"") -> None:
        self.number = number
        self.signature = signature
        self.last = last  # its end is ReadyForQuery
        self.synced = False  # and a Sync asked for that, no query
        self.ends = ends  # the types of message that end it before that
        self.executes = 1
        self.answered = False
        self.failed = False
        self.failed_at = 0  # the offset at which its error is told
        self.status = ""
        self.nbytes = 0

    def answer(self, status: str, nbytes: int) -> None:
        """One of its Executes is complete."""
        self.nbytes += nbytes
        self.executes -= 1
        if not self.failed:
            self.status = status
            self.answered = self.executes <= 0

    def fail(self, status: str, offset: int) -> None:
        """It failed, or was skipped behind what failed; the first reason stays."""
        self.answered = True
        if not self.failed:
            self.failed_at = offset
            self.status = status
            self.failed = True


class Statements:
    """Prepared statements and portals of one connection by name, bounded; and what was prepared since the last Sync or Flush."""

    __slots__ = ("_apart_bytes", "_described", "_executed", "_portals", "_statements", "prepared")

    def __init__(self) -> None:
        self._statements: dict[bytes, str] = {}
        self._portals: dict[bytes, str] = {}
        self.prepared = ""  # what was parsed or described since the last Sync or Flush
        self._apart_bytes = 0
        self._described = False
        self._executed = False

    def parse(self, data: bytes, start: int, seen: int, size: int) -> bool:
        """Parse: a statement's name and text. False if they cannot be read."""
        name_end = data.find(0, start, seen)
        if name_end < 0:
            return False
        stop = data.find(0, name_end + 1, seen)
        signature = sql_signature(data[name_end + 1 : seen if stop < 0 else stop])
        _remember(self._statements, data[start:name_end], signature)
        self.prepared = signature
        self._apart_bytes += size
        return True

    def bind(self, data: bytes, start: int, seen: int) -> bool:
        """Bind: a portal's name and a statement's. False if they cannot be read."""
        portal_end = data.find(0, start, seen)
        stop = data.find(0, portal_end + 1, seen) if portal_end >= 0 else -1
        if stop < 0:
            return False
        statement = self._statements.get(data[portal_end + 1 : stop], _UNKNOWN)
        _remember(self._portals, data[start:portal_end], statement)
        return True

    def describe(self, data: bytes, start: int, seen: int, size: int) -> None:
        """Describe a statement or portal."""
        self._described = True
        self._apart_bytes += size
        if not self.prepared:
            self.prepared = self._named(data, start, seen)

    def close(self, data: bytes, start: int, seen: int) -> None:
        """Close a statement or portal: its name may come again for another one."""
        names = self._statements if data[start : start + 1] == b"S" else self._portals
        names.pop(_name(data, start + 1, seen), None)

    def executed(self, data: bytes, start: int, seen: int) -> str:
        """The signature of the portal that is executed."""
        self._executed = bool(self.prepared)
        return self._portals.get(_name(data, start, seen), _UNKNOWN)

    def apart(self) -> tuple[str, int, bytes]:
        """What was prepared and not executed since the last call: signature, bytes, and which messages end it."""
        found = ("" if self._executed else self.prepared, self._apart_bytes, b"Tn" if self._described else b"1")
        self.prepared, self._apart_bytes = "", 0
        self._described = self._executed = False
        return found

    def _named(self, data: bytes, start: int, seen: int) -> str:
        names = self._statements if data[start : start + 1] == b"S" else self._portals
        return names.get(_name(data, start + 1, seen), _UNKNOWN)


def _name(data: bytes, start: int, seen: int) -> bytes:
    stop = data.find(0, start, seen)
    return data[start : seen if stop < 0 else stop]


def _remember(names: dict[bytes, str], name: bytes, signature: str) -> None:
    if len(names) >= _NAMES_LIMIT and name not in names:
        names.pop(next(iter(names)))
    names[name] = signature
