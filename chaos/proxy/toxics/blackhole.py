"""blackhole: one-way silence, a half-open connection. What is sent in its direction vanishes, the end of the stream too.

The other direction flows and nothing is closed while it lasts. At its end a connection that lost something is reset, as by a
peer that knows it no more; one that was at rest goes on. With `half_open` nobody is told: what lost something stays silent for
good, until a side closes. For a silence that heals without loss: `bandwidth` with a rate of 0.
"""

# ruff: noqa: ARG002 - one interface for all stages

from __future__ import annotations

from typing import ClassVar

from chaos.proxy.stage import Attributes, End, Item, Stage, ToxicType

__all__ = ["TOXIC"]


class BlackholeAttributes(Attributes, frozen=True):
    """`half_open` other than 0: connections that lost something outlive the toxic, silent."""

    grows: ClassVar[bool] = False

    half_open: int = 0


class BlackholeStage(Stage):
    """Keeps nothing: the sender is never paused, as it would be by a peer that does not read."""

    attributes: BlackholeAttributes

    __slots__ = ("closed", "swallowed")

    def begin(self, now_ns: int) -> None:
        self.swallowed = self.closed = False

    def data(self, chunk: bytes, now_ns: int) -> list[Item]:
        self.swallowed = self.acted = True
        return []

    def end(self, end: End, now_ns: int) -> list[Item]:
        self.swallowed = self.closed = self.acted = True
        return [End.RESET] if self.stays else []

    def remove(self, now_ns: int) -> list[Item]:
        self.stays = bool(self.swallowed and self.attributes.half_open and not self.closed)
        return [End.RESET] if self.swallowed and not self.stays else []


TOXIC = ToxicType(name="blackhole", attributes=BlackholeAttributes, stage=BlackholeStage, standard=False)
