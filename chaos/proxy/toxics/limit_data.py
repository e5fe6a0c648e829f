"""limit_data: lets exactly `bytes` through in its direction, counted from when it took hold, then closes the connection."""

# ruff: noqa: ARG002 - one interface for all stages

from __future__ import annotations

from chaos.proxy.stage import Attributes, End, Item, Stage, ToxicType

__all__ = ["TOXIC"]


class LimitDataAttributes(Attributes, frozen=True):
    """Bytes; a negative limit counts as 0, which closes on the first data."""

    bytes: int = 0


class LimitDataStage(Stage):
    """Closes as soon as the limit is reached; a limit lowered below the count closes on the next data."""

    attributes: LimitDataAttributes

    __slots__ = ("passed", "spent")

    def begin(self, now_ns: int) -> None:
        self.passed = 0
        self.spent = False

    def data(self, chunk: bytes, now_ns: int) -> list[Item]:
        if self.spent:
            return []
        room = max(0, self.attributes.bytes - self.passed)
        if len(chunk) < room:
            self.passed += len(chunk)
            return [chunk]
        self.passed += room
        self.spent = self.acted = True
        return [chunk[:room], End.CLOSE] if room else [End.CLOSE]


TOXIC = ToxicType(name="limit_data", attributes=LimitDataAttributes, stage=LimitDataStage)
