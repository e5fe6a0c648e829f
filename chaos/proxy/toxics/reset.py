"""reset: an RST on every live connection at onset and, while it lasts, on the next request of each connection."""

# ruff: noqa: ARG002 - one interface for all stages

from __future__ import annotations

from chaos.proxy.stage import Attributes, End, Item, Stage, ToxicType

__all__ = ["TOXIC"]


class ResetAttributes(Attributes, frozen=True):
    """None."""


class ResetStage(Stage):
    """Sits on the way to the upstream: whatever the caller sends is its request."""

    __slots__ = ()

    def data(self, chunk: bytes, now_ns: int) -> list[Item]:
        self.acted = True
        return [End.RESET]


TOXIC = ToxicType(
    name="reset",
    attributes=ResetAttributes,
    stage=ResetStage,
    standard=False,
    direction=">",
    cuts_live=lambda _attributes: True,
)
