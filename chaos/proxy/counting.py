"""Which messages a toxic takes: `match` says of what kind, `count` which of them, `per` where the count begins anew. Pure.

A unit is an exchange where the link is framed; elsewhere a turn, which begins when the caller speaks after the callee has.
A toxic that acts on connections as they are accepted counts those.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Generic, TypeVar

from chaos.model.base import Data

__all__ = ["COUNT_WORDS", "OP_PREFIX", "Count", "Recent", "Scope", "Tally", "Unit", "matcher"]

COUNT_WORDS = ("first", "every", "nth")
#: Enough for the messages that are on their way at one time, and for the operations that still try.
_REMEMBERED = 16_384
OP_PREFIX = "op:"
"""Begins a pattern that is about the op id."""
_K = TypeVar("_K")
_V = TypeVar("_V")


class Scope(StrEnum):
    """Where a count begins anew. `operation` is the op id of the baggage, or else the trace id."""

    LINK = "link"
    CONNECTION = "connection"
    OPERATION = "operation"


class Unit(Data, frozen=True, kw_only=True):
    """A message to be counted: its number on the connection and, where the stream is framed, what it is."""

    number: int
    signature: str = ""
    trace_id: str = ""
    op_id: str = ""


class Count(Data, frozen=True, kw_only=True):
    """One of: the first n, every n-th, only the n-th; from 1."""

    word: str
    n: int

    def takes(self, position: int) -> bool:
        """Whether the unit at that position, from 1, is one of them."""
        if self.word == "first":
            return position <= self.n
        return position % self.n == 0 if self.word == "every" else position == self.n

    @classmethod
    def of(cls, given: Mapping[str, int]) -> Count:
        """From `{"first": 2}` and the like. Raises ValueError."""
        if len(given) != 1 or not given.keys() <= set(COUNT_WORDS):
            raise ValueError('count is one of {"first": n}, {"every": n} and {"nth": n}')
        [(word, n)] = given.items()
        if n < 1:
            raise ValueError(f"count {word} {n} counts nothing, it begins at 1")
        return cls(word=word, n=n)


class Recent(Generic[_K, _V]):
    """A mapping that forgets what was put first beyond its bound: links and runs may live for long."""

    def __init__(self, most: int = _REMEMBERED) -> None:
        self._most = most
        self._values: dict[_K, _V] = {}

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: _K) -> _V | None:
        """The value, or None."""
        return self._values.get(key)

    def put(self, key: _K, value: _V) -> None:
        """Set, and make it the last to be forgotten."""
        self._values.pop(key, None)
        self._values[key] = value
        if len(self._values) > self._most:
            del self._values[next(iter(self._values))]


class Tally:
    """One toxic's counts on its link. A unit is decided once, for both directions and all its chunks."""

    def __init__(self, count: Count | None, scope: Scope, match: Callable[[Unit], bool] | None) -> None:
        self._count = count
        self._scope = scope
        self._match = match
        self._positions: Recent[object, int] = Recent()
        self._decided: Recent[tuple[int, int], bool] = Recent()

    @property
    def matches(self) -> bool:
        """Whether it is told what kind of message it is about."""
        return self._match is not None

    @property
    def counts(self) -> bool:
        """Whether it takes only some of those."""
        return self._count is not None

    def fits(self, unit: Unit) -> bool:
        """Whether the unit is of that kind."""
        return self._match is None or self._match(unit)

    def takes(self, connection: int, unit: Unit) -> bool:
        """Whether the toxic acts on that unit of that connection."""
        key = (connection, unit.number)
        decided = self._decided.get(key)
        if decided is None:
            decided = self.decide(connection, unit)
            self._decided.put(key, decided)
        return decided

    def takes_connection(self) -> bool:
        """Count an accepted connection."""
        return self._count is None or self._count.takes(self._advance(None))

    def decide(self, connection: int, unit: Unit) -> bool:
        """Count a message and answer whether the toxic acts on it: for who asks once about each, of which several may share a number."""
        if not self.fits(unit):
            return False
        if self._count is None:
            return True
        where: object = None
        if self._scope is Scope.CONNECTION:
            where = connection
        elif self._scope is Scope.OPERATION:
            where = unit.op_id or unit.trace_id
            if not where:  # it belongs to no operation that could be told from another
                return False
        return self._count.takes(self._advance(where))

    def _advance(self, where: object) -> int:
        position = (self._positions.get(where) or 0) + 1
        self._positions.put(where, position)
        return position


def matcher(pattern: str) -> Callable[[Unit], bool]:
    """A test of units. `*` stands for anything; `op:...` is about the op id, `/...` about the route, a word about the first word.

    Anything else is compared with the whole signature, such as `POST /v1/documents/{id}`. `COMMIT` is a first word, too.
    """
    about_op = pattern.startswith(OP_PREFIX)
    text, behind = pattern.removeprefix(OP_PREFIX), ""
    if not about_op and text.startswith("/"):
        text = f"* {text}"
    elif not about_op and " " not in text and not text.endswith("*"):
        behind = "(?: .*)?"
    compiled = re.compile(".*".join(re.escape(part) for part in text.split("*")) + behind, re.DOTALL)
    if about_op:
        return lambda unit: bool(unit.op_id) and compiled.fullmatch(unit.op_id) is not None
    return lambda unit: compiled.fullmatch(unit.signature) is not None
