"""A ramp: a stage whose attributes grow in a straight line from nothing, at the toxic's onset, to what was asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chaos.proxy.stage import MS, Attributes, End, Item, Stage, WrappedStage

__all__ = ["RampedStage"]

#: While something is held, its time is worked out anew this often: a stall that eases must notice.
STEP_NS = 10 * MS


class RampedStage(WrappedStage):
    """Each chunk meets the attributes of its moment. Connections that come later join the same ramp."""

    __slots__ = ("_over", "_since_ns", "_takes_ns")

    def __init__(
        self, attributes: Any, capacity: int, make: Callable[[Any, int], Stage], ramp: tuple[int, int], now_ns: int
    ) -> None:
        super().__init__(attributes, capacity)
        self._since_ns, self._takes_ns = ramp
        self._over = False
        self.inner = make(self._grown(now_ns), now_ns)
        self.did([])

    def data(self, chunk: bytes, now_ns: int) -> list[Item]:
        """With the attributes of this moment."""
        return self._step(self._at(now_ns).data(chunk, now_ns), now_ns)

    def end(self, end: End, now_ns: int) -> list[Item]:
        """With the attributes of this moment."""
        return self._step(self._at(now_ns).end(end, now_ns), now_ns)

    def wake(self, now_ns: int) -> list[Item]:
        """With the attributes of this moment."""
        return self._step(self._at(now_ns).wake(now_ns), now_ns)

    def update(self, attributes: Any, now_ns: int) -> list[Item]:
        """New attributes are at once where the ramp has come to."""
        self.attributes = attributes
        self._over = False
        assert self.inner is not None
        return self._step(self.inner.update(self._grown(now_ns), now_ns), now_ns)

    def _at(self, now_ns: int) -> Stage:
        assert self.inner is not None
        if not self._over:
            self.inner.attributes = self._grown(now_ns)
        return self.inner

    def _step(self, items: list[Item], now_ns: int) -> list[Item]:
        self.did(items)
        if self.held and not self._over:
            next_ns = now_ns + STEP_NS
            self.wake_ns = next_ns if self.wake_ns is None else min(self.wake_ns, next_ns)
        return items

    def _grown(self, now_ns: int) -> Attributes:
        grown: Attributes = self.attributes
        self._over = now_ns >= self._since_ns + self._takes_ns
        return grown if self._over else grown.scaled(max(0, now_ns - self._since_ns), self._takes_ns)
