"""slow_close: the end of a stream is passed on `delay` ms late; data is not delayed."""

# ruff: noqa: ARG002 - one interface for all stages

from __future__ import annotations

from chaos.proxy.stage import MAX_NS, MS, Attributes, End, Item, Stage, ToxicType

__all__ = ["TOXIC"]


class SlowCloseAttributes(Attributes, frozen=True):
    """Milliseconds; a negative delay is none."""

    delay: int = 0


class SlowCloseStage(Stage):
    """Holds the end, once it came."""

    attributes: SlowCloseAttributes

    __slots__ = ("ended_ns", "held_end")

    def begin(self, now_ns: int) -> None:
        self.held_end: End | None = None
        self.ended_ns = 0

    def end(self, end: End, now_ns: int) -> list[Item]:
        self.held_end, self.ended_ns = end, now_ns
        self.acted = True
        return self.wake(now_ns)

    def wake(self, now_ns: int) -> list[Item]:
        if self.held_end is None:
            return []
        self.wake_ns = self.ended_ns + min(max(0, self.attributes.delay) * MS, MAX_NS)
        return self.remove(now_ns) if self.wake_ns <= now_ns else []

    def update(self, attributes: SlowCloseAttributes, now_ns: int) -> list[Item]:
        """A waiting end keeps the time it came and gets the new delay."""
        self.attributes = attributes
        return self.wake(now_ns)

    def remove(self, now_ns: int) -> list[Item]:
        held, self.held_end, self.wake_ns = self.held_end, None, None
        return [] if held is None else [held]


TOXIC = ToxicType(name="slow_close", attributes=SlowCloseAttributes, stage=SlowCloseStage)
