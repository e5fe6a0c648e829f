"""blackhole: one-way silence, a half-open connection. What is sent in its direction vanishes, the end of the stream too.

The other direction flows and nothing is closed while it lasts. At its end a connection that lost something is reset, as by a
peer that knows it no more; one that was at rest goes on. For a silence that heals without loss: `bandwidth` with a rate of 0.
"""

# ruff: noqa: ARG002 - one interface for all stages

from __future__ import annotations

from chaos.proxy.stage import Attributes, End, Item, Stage, ToxicType

__all__ = ["TOXIC"]


class BlackholeAttributes(Attributes, frozen=True):
    """None."""


class BlackholeStage(Stage):
    """Keeps nothing: the sender is never paused, as it would be by a peer that does not read."""

    __slots__ = ("swallowed",)

    def begin(self, now_ns: int) -> None:
        self.swallowed = False

    def data(self, chunk: bytes, now_ns: int) -> list[Item]:
        self.swallowed = self.acted = True
        return []

    def end(self, end: End, now_ns: int) -> list[Item]:
        self.swallowed = self.acted = True
        return []

    def remove(self, now_ns: int) -> list[Item]:
        return [End.RESET] if self.swallowed else []


TOXIC = ToxicType(name="blackhole", attributes=BlackholeAttributes, stage=BlackholeStage, standard=False)
