"""corrupt: `rate` bytes in a million are damaged on their way, one bit of each flipped or the whole byte replaced; none is lost."""

# ruff: noqa: ARG002 - one interface for all stages

from __future__ import annotations

from typing import Self

from msgspec import structs

from chaos.proxy.draws import MILLION, draw_gap
from chaos.proxy.errors import BadAttributesError
from chaos.proxy.stage import Attributes, Item, Stage, ToxicType

__all__ = ["TOXIC"]


class CorruptAttributes(Attributes, frozen=True):
    """`rate` in bytes per million; `whole` other than 0 replaces the byte, otherwise one of its bits is flipped."""

    rate: int = 0
    whole: int = 0

    def check(self) -> None:
        if not 0 <= self.rate <= MILLION:
            raise BadAttributesError(f"corrupt rate {self.rate} is out of range, it can be 0 to {MILLION} in a million")

    def scaled(self, part: int, whole: int) -> Self:
        """On a ramp the rate grows."""
        return structs.replace(self, rate=self.rate * part // whole)


class CorruptStage(Stage):
    """Draws how far the next damaged byte is, so that the same bytes are hit however the stream is cut into chunks."""

    attributes: CorruptAttributes

    __slots__ = ("gap", "rate")

    def begin(self, now_ns: int) -> None:
        self.gap: int | None = None
        self.rate = 0

    def data(self, chunk: bytes, now_ns: int) -> list[Item]:
        if self.rate != self.attributes.rate:
            self.rate = self.attributes.rate
            self.gap = draw_gap(self.rng, self.rate)
        if self.gap is None:
            return [chunk]
        damaged, at = bytearray(chunk), self.gap
        while at < len(damaged):
            damaged[at] ^= self.rng.randint(1, 255) if self.attributes.whole else 1 << self.rng.randrange(8)
            at += 1 + (draw_gap(self.rng, self.rate) or 0)
            self.acted = True
        self.gap = at - len(damaged)
        return [bytes(damaged)] if self.acted else [chunk]


TOXIC = ToxicType(name="corrupt", attributes=CorruptAttributes, stage=CorruptStage, standard=False)
