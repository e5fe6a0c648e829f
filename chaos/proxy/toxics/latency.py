"""latency: every chunk leaves `latency` +- `jitter` ms after it came, in order; the end of a stream is not delayed by itself."""

# ruff: noqa: ARG002 - one interface for all stages
from __future__ import annotations

from collections import deque
from typing import ClassVar, Self

from chaos.proxy.errors import BadAttributesError
from chaos.proxy.stage import ITEM_BYTES, MAX_NS, MS, US, Attributes, End, Item, Stage, ToxicType

__all__ = ["TOXIC"]

MAX_JITTER = (1 << 62) - 1


class LatencyAttributes(Attributes, frozen=True):
    """Milliseconds and, beyond Toxiproxy, microseconds that are added to them. Negative sums count as none."""

    extensions: ClassVar[frozenset[str]] = frozenset({"latency_us", "jitter_us"})

    latency: int = 0
    jitter: int = 0
    latency_us: int = 0
    jitter_us: int = 0

    def check(self) -> None:
        """Refuse a jitter whose band does not fit into 63 bits."""
        for name in ("jitter", "jitter_us"):
            if getattr(self, name) > MAX_JITTER:
                raise BadAttributesError(
                    f"latency {name} {getattr(self, name)} is out of range, it can be at most {MAX_JITTER}"
                )

    def scaled(self, part: int, whole: int) -> Self:
        """A ramp grows by microseconds, not in steps of milliseconds."""
        return type(self)(
            latency_us=(self.latency * 1000 + self.latency_us) * part // whole,
            jitter_us=(self.jitter * 1000 + self.jitter_us) * part // whole,
        )


class LatencyStage(Stage):
    """A queue of (arrived, due, item); the head's due time is when to wake."""

    # 100 MB/s through 300 ms; a server of the reference implementation takes 33.8 MiB.
    capacity: ClassVar[int] = 32 * 1024 * 1024

    attributes: LatencyAttributes

    __slots__ = ("queue",)

    def begin(self, now_ns: int) -> None:
        self.queue: deque[tuple[int, int, Item]] = deque()

    def data(self, chunk: bytes, now_ns: int) -> list[Item]:
        due_ns = self._due(now_ns)
        if due_ns <= now_ns and not self.queue:
            return [chunk]
        self.acted = True
        self.queue.append((now_ns, due_ns, chunk))
        self.held += len(chunk)
        self.overhead += ITEM_BYTES
        self.wake_ns = self.queue[0][1]
        return []

    def end(self, end: End, now_ns: int) -> list[Item]:
        if not self.queue:
            return [end]
        self.queue.append((now_ns, now_ns, end))
        return []

    def wake(self, now_ns: int) -> list[Item]:
        items: list[Item] = []
        while self.queue and self.queue[0][1] <= now_ns:
            items.append(self._pop())
        self.wake_ns = self.queue[0][1] if self.queue else None
        return items

    def update(self, attributes: LatencyAttributes, now_ns: int) -> list[Item]:
        """The chunk being waited for goes at once, the others get the new delay."""
        self.attributes = attributes
        items: list[Item] = [self._pop()] if self.queue else []
        self.queue = deque(
            (arrived_ns, self._due(arrived_ns) if isinstance(item, bytes) else arrived_ns, item)
            for arrived_ns, _, item in self.queue
        )
        return items + self.wake(now_ns)

    def remove(self, now_ns: int) -> list[Item]:
        return [self._pop() for _ in range(len(self.queue))]

    def _pop(self) -> Item:
        item = self.queue.popleft()[2]
        if isinstance(item, bytes):
            self.held -= len(item)
            self.overhead -= ITEM_BYTES
        return item

    def _due(self, arrived_ns: int) -> int:
        attributes = self.attributes
        delay_ns = max(0, attributes.latency * MS + attributes.latency_us * US)
        jitter_ns = max(0, attributes.jitter * MS + attributes.jitter_us * US)
        if jitter_ns:
            delay_ns += round(self.rng.uniform(-jitter_ns, jitter_ns))
        return arrived_ns + min(max(0, delay_ns), MAX_NS)


TOXIC = ToxicType(name="latency", attributes=LatencyAttributes, stage=LatencyStage)
