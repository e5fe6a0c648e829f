"""hang: a server wedged. Connections are accepted, every byte is kept, nothing is said; at the end, what it held is reset."""

# ruff: noqa: ARG002 - one interface for all stages

from __future__ import annotations

from chaos.proxy.stage import Attributes, End, Item, Stage, ToxicType

__all__ = ["TOXIC"]


class HangAttributes(Attributes, frozen=True):
    """None."""


class HangStage(Stage):
    """Counts what it keeps; nothing of it will ever be passed on, so only its size is remembered."""

    __slots__ = ("withheld",)

    def begin(self, now_ns: int) -> None:
        self.withheld = False

    def data(self, chunk: bytes, now_ns: int) -> list[Item]:
        self.held += len(chunk)
        self.withheld = self.acted = True
        return []

    def end(self, end: End, now_ns: int) -> list[Item]:
        self.withheld = self.acted = True
        return []

    def remove(self, now_ns: int) -> list[Item]:
        """A connection that was at rest all the time goes on; any other has lost bytes."""
        return [End.RESET] if self.withheld else []


TOXIC = ToxicType(
    name="hang", attributes=HangAttributes, stage=HangStage, standard=False, both=True, accepts_silently=True
)
