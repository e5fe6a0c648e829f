"""timeout: swallows the data of its direction, closes after `timeout` ms of silence in it (0: never) and when it is removed."""

# ruff: noqa: ARG002 - one interface for all stages

from __future__ import annotations

from chaos.proxy.stage import MAX_NS, MS, Attributes, End, Item, Stage, ToxicType

__all__ = ["TOXIC"]


class TimeoutAttributes(Attributes, frozen=True):
    """Milliseconds; none or a negative one never closes."""

    timeout: int = 0


class TimeoutStage(Stage):
    """Counts the silence from the start, from an update and from each chunk."""

    attributes: TimeoutAttributes

    __slots__ = ()

    def begin(self, now_ns: int) -> None:
        timeout_ms = self.attributes.timeout
        self.wake_ns = now_ns + min(timeout_ms * MS, MAX_NS) if timeout_ms > 0 else None

    def data(self, chunk: bytes, now_ns: int) -> list[Item]:
        self.acted = True
        self.begin(now_ns)
        return []

    def wake(self, now_ns: int) -> list[Item]:
        if self.wake_ns is None or self.wake_ns > now_ns:
            return []
        self.wake_ns = None
        return [End.CLOSE]

    def update(self, attributes: TimeoutAttributes, now_ns: int) -> list[Item]:
        self.attributes = attributes
        self.begin(now_ns)
        return []

    def remove(self, now_ns: int) -> list[Item]:
        """The stream has a hole: it cannot go on."""
        return [End.CLOSE]


TOXIC = ToxicType(name="timeout", attributes=TimeoutAttributes, stage=TimeoutStage)
