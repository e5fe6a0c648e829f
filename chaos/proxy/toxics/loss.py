"""loss: lost packets, as TCP shows them. `rate` segments in a million are late by a retransmission, and all behind them wait.

No byte is lost or reordered. The wait doubles with each further loss of the same segment, as RFC 6298 backs off.
"""

# ruff: noqa: ARG002 - one interface for all stages

from __future__ import annotations

from collections import deque
from typing import ClassVar, Self

from msgspec import structs

from chaos.proxy.draws import MILLION, draw_gap
from chaos.proxy.errors import BadAttributesError
from chaos.proxy.stage import ITEM_BYTES, MAX_NS, MS, Attributes, End, Item, Stage, ToxicType

__all__ = ["TOXIC"]

#: Payload of a segment on Ethernet, with timestamps.
SEGMENT_BYTES = 1448
MAX_RETRIES = 6


class LossAttributes(Attributes, frozen=True):
    """`rate` in segments per million; `delay` of the first retransmission in ms (200 is the least that Linux waits)."""

    rate: int = 0
    delay: int = 200

    def check(self) -> None:
        if not 0 <= self.rate <= MILLION:
            raise BadAttributesError(f"loss rate {self.rate} is out of range, it can be 0 to {MILLION} in a million")

    def scaled(self, part: int, whole: int) -> Self:
        """On a ramp more and more is lost; how long a retransmission takes stays."""
        return structs.replace(self, rate=self.rate * part // whole)


class LossStage(Stage):
    """A queue of (due, item) whose due times never decrease. `gap`: segments that pass before the next loss, None for ever."""

    capacity: ClassVar[int] = 4 * 1024 * 1024

    attributes: LossAttributes

    __slots__ = ("due_ns", "gap", "queue", "rate")

    def begin(self, now_ns: int) -> None:
        self.queue: deque[tuple[int, Item]] = deque()
        self.due_ns = now_ns
        self.gap: int | None = None
        self.rate = 0

    def data(self, chunk: bytes, now_ns: int) -> list[Item]:
        if self.rate != self.attributes.rate:
            self.rate = self.attributes.rate
            self.gap = draw_gap(self.rng, self.rate)
        self.held += len(chunk)
        self.due_ns = max(self.due_ns, now_ns)
        segments, start = -(-len(chunk) // SEGMENT_BYTES), 0
        while self.gap is not None and self.gap < segments:
            self._put(chunk[start : self.gap * SEGMENT_BYTES])
            start = self.gap * SEGMENT_BYTES
            self.due_ns = min(self.due_ns + self._draw_delay_ns(), MAX_NS)
            self.gap += 1 + (draw_gap(self.rng, self.rate) or 0)
        self._put(chunk[start:])
        self.gap = None if self.gap is None else self.gap - segments
        self.acted = self.due_ns > now_ns
        return self.wake(now_ns)

    def end(self, end: End, now_ns: int) -> list[Item]:
        self.queue.append((max(self.due_ns, now_ns), end))
        return self.wake(now_ns)

    def wake(self, now_ns: int) -> list[Item]:
        items: list[Item] = []
        while self.queue and self.queue[0][0] <= now_ns:
            items.append(self._pop())
        self.wake_ns = self.queue[0][0] if self.queue else None
        return items

    def remove(self, now_ns: int) -> list[Item]:
        return [self._pop() for _ in range(len(self.queue))]

    def _put(self, piece: bytes) -> None:
        if piece:
            self.queue.append((self.due_ns, piece))
            self.overhead += ITEM_BYTES

    def _pop(self) -> Item:
        item = self.queue.popleft()[1]
        if isinstance(item, bytes):
            self.held -= len(item)
            self.overhead -= ITEM_BYTES
        return item

    def _draw_delay_ns(self) -> int:
        delay_ns = waited_ns = min(max(0, self.attributes.delay) * MS, MAX_NS)
        for _ in range(MAX_RETRIES):
            if self.rng.random() * MILLION >= self.rate:
                break
            waited_ns *= 2
            delay_ns += waited_ns
        return delay_ns


TOXIC = ToxicType(name="loss", attributes=LossAttributes, stage=LossStage, standard=False)
