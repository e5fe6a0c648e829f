"""A gate before a stage: chunks of units that the toxic's tally takes go through the stage, the others past it.

Also here: what a chunk's unit is. On a framed link the observer knows; elsewhere turns are read off the byte counts of both
directions. Order is kept: while the stage holds bytes, everything goes through it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chaos.proxy.counting import Tally, Unit
from chaos.proxy.stage import End, Item, Stage, WrappedStage

__all__ = ["GatedStage", "Turns", "chooser"]

Units = Callable[[], tuple[Unit, ...]]


class Turns:
    """The unit of a chunk on an unframed stream. `own` and `other` are the bytes received so far by its direction and the other.

    A turn begins when the caller speaks after the callee has. What the callee says before the caller did is of no turn.
    """

    def __init__(self, other: Callable[[], int]) -> None:
        self._other = other
        self._seen = other()
        self._number = 0

    def up(self) -> tuple[Unit, ...]:
        """The caller spoke."""
        seen = self._other()
        if self._number == 0 or seen != self._seen:
            self._seen = seen
            self._number += 1
        return (Unit(number=self._number),)

    def down(self) -> tuple[Unit, ...]:
        """The callee spoke."""
        seen = self._other()
        if seen != self._seen:
            self._seen = seen
            self._number += 1
        return (Unit(number=self._number),) if self._number else ()


def chooser(tally: Tally, connection: int, units: Units) -> Callable[[], bool]:
    """Whether the chunk that has just come is of a unit that is taken; all its units are counted."""

    def chosen() -> bool:
        taken = [tally.takes(connection, unit) for unit in units()]
        return any(taken)

    return chosen


class GatedStage(WrappedStage):
    """The stage behind the gate begins with the first chunk that is taken: nothing happens before."""

    __slots__ = ("_chosen", "_last", "_make")

    def __init__(
        self, attributes: Any, capacity: int, make: Callable[[Any, int], Stage], chosen: Callable[[], bool]
    ) -> None:
        super().__init__(attributes, capacity)
        self._make = make
        self._chosen = chosen
        self._last = False

    def data(self, chunk: bytes, now_ns: int) -> list[Item]:
        """Through the stage or past it."""
        self._last = self._chosen()
        stage = self._stage(now_ns)
        return [chunk] if stage is None else self.did(stage.data(chunk, now_ns))

    def end(self, end: End, now_ns: int) -> list[Item]:
        """The end belongs to the unit of the last chunk."""
        stage = self._stage(now_ns)
        return [end] if stage is None else self.did(stage.end(end, now_ns))

    def _stage(self, now_ns: int) -> Stage | None:
        if self._last and self.inner is None:
            self.inner = self._make(self.attributes, now_ns)
        return self.inner if self._last or self.held or self.stays else None
