"""slicer: cuts chunks into pieces of `average_size` +- `size_variation` bytes, with `delay` microseconds after each."""

# ruff: noqa: ARG002 - one interface for all stages

from __future__ import annotations

from collections import deque
from typing import Self

from msgspec import structs

from chaos.proxy.errors import BadAttributesError
from chaos.proxy.stage import MAX_NS, US, Attributes, End, Item, Stage, ToxicType

__all__ = ["TOXIC"]

#: So many pieces at a time: each is a system call, and others have their turn in between.
BURST = 256


class SlicerAttributes(Attributes, frozen=True):
    """Bytes, bytes, microseconds. An average below 1 slices nothing; a variation above the average counts as the average."""

    average_size: int = 0
    size_variation: int = 0
    delay: int = 0

    def check(self) -> None:
        if self.size_variation < 0:
            raise BadAttributesError(f"slicer size_variation {self.size_variation} is negative; give 0 or more bytes")

    def scaled(self, part: int, whole: int) -> Self:
        """On a ramp the delay grows; small sizes would be the harsher ones."""
        return structs.replace(self, delay=self.delay * part // whole)


class SlicerStage(Stage):
    """A queue of pieces; one leaves, and the next when the delay is over."""

    attributes: SlicerAttributes

    __slots__ = ("free_ns", "queue")

    def begin(self, now_ns: int) -> None:
        self.queue: deque[Item] = deque()
        self.free_ns = now_ns

    def data(self, chunk: bytes, now_ns: int) -> list[Item]:
        pieces = self._slice(chunk)
        self.acted = len(pieces) > 1 or self.attributes.delay > 0
        self.queue.extend(pieces)
        self.held += len(chunk)
        return self.wake(now_ns)

    def end(self, end: End, now_ns: int) -> list[Item]:
        self.queue.append(end)
        return self.wake(now_ns)

    def wake(self, now_ns: int) -> list[Item]:
        items: list[Item] = []
        delay_ns = min(max(0, self.attributes.delay) * US, MAX_NS)
        while self.queue and self.free_ns <= now_ns and len(items) < BURST:
            self.free_ns = now_ns + delay_ns
            items.append(self._pop())
        self.wake_ns = self.free_ns if self.queue else None
        return items

    def update(self, attributes: SlicerAttributes, now_ns: int) -> list[Item]:
        """Pieces that wait keep their size; the next leaves at once."""
        self.attributes = attributes
        self.free_ns = now_ns
        return self.wake(now_ns)

    def remove(self, now_ns: int) -> list[Item]:
        return [self._pop() for _ in range(len(self.queue))]

    def _pop(self) -> Item:
        item = self.queue.popleft()
        if isinstance(item, bytes):
            self.held -= len(item)
        return item

    def _slice(self, chunk: bytes) -> list[bytes]:
        """Halve, with a shifted middle, whatever is longer than average + variation."""
        average = self.attributes.average_size
        if average < 1:
            return [chunk]
        variation = min(self.attributes.size_variation, average)
        pieces: list[bytes] = []
        todo = [(0, len(chunk))]
        while todo:
            start, stop = todo.pop()
            if stop - start <= average + variation:
                pieces.append(chunk[start:stop])
                continue
            middle = start + (stop - start) // 2 + (self.rng.randint(-variation, variation) if variation else 0)
            middle = min(max(middle, start + 1), stop - 1)
            todo += [(middle, stop), (start, middle)]
        return pieces


TOXIC = ToxicType(name="slicer", attributes=SlicerAttributes, stage=SlicerStage)
