"""bandwidth: at most `rate` KB/s (1 KB = 1000 bytes, so bytes per millisecond); a rate of 0 stalls and keeps the data."""

# ruff: noqa: ARG002 - one interface for all stages

from __future__ import annotations

from collections import deque

from chaos.proxy.errors import BadAttributesError
from chaos.proxy.stage import MS, Attributes, End, Item, Stage, ToxicType

__all__ = ["TOXIC"]

#: A piece is at most this long on the way.
PIECE_MS = 100
MAX_RATE = (1 << 63) // PIECE_MS


class BandwidthAttributes(Attributes, frozen=True):
    """KB/s."""

    rate: int = 0

    def check(self) -> None:
        if not 0 <= self.rate < MAX_RATE:
            raise BadAttributesError(
                f"bandwidth rate {self.rate} is out of range, it can be 0 (stall) to {MAX_RATE - 1}"
            )


class BandwidthStage(Stage):
    """A queue of pieces; each is paid for from when the one before it was, or from when it came, and then leaves."""

    attributes: BandwidthAttributes

    __slots__ = ("queue", "since_ns")

    def begin(self, now_ns: int) -> None:
        self.queue: deque[Item] = deque()
        self.since_ns = now_ns

    def data(self, chunk: bytes, now_ns: int) -> list[Item]:
        if not self.queue:
            # Idle time earns nothing, but time that a late wakeup took is given back.
            self.since_ns = max(self.since_ns, now_ns)
        self.acted = True
        self.held += len(chunk)
        self.queue.append(chunk)
        self._cut_head()
        return self.wake(now_ns)

    def end(self, end: End, now_ns: int) -> list[Item]:
        if not self.queue:
            return [end]
        self.queue.append(end)
        return []

    def wake(self, now_ns: int) -> list[Item]:
        items: list[Item] = []
        while self.queue:
            head = self.queue[0]
            paid_ns = self._paid_ns(head)
            if paid_ns is None or paid_ns > now_ns:
                self.wake_ns = paid_ns
                return items
            self.since_ns = paid_ns
            items.append(self._pop())
            self._cut_head()
        self.wake_ns = None
        return items

    def update(self, attributes: BandwidthAttributes, now_ns: int) -> list[Item]:
        """What waits is paid for at the new rate, from now on."""
        self.attributes = attributes
        self.since_ns = now_ns
        self._cut_head()
        return self.wake(now_ns)

    def remove(self, now_ns: int) -> list[Item]:
        return [self._pop() for _ in range(len(self.queue))]

    def _paid_ns(self, item: Item) -> int | None:
        if not isinstance(item, bytes):
            return self.since_ns
        if self.attributes.rate == 0:
            return None
        return self.since_ns + len(item) * MS // self.attributes.rate

    def _pop(self) -> Item:
        item = self.queue.popleft()
        if isinstance(item, bytes):
            self.held -= len(item)
        return item

    def _cut_head(self) -> None:
        """Keep the head to one piece's size."""
        size = self.attributes.rate * PIECE_MS
        if self.queue and size:
            head = self.queue[0]
            if isinstance(head, bytes) and len(head) > size:
                self.queue[0] = head[size:]
                self.queue.appendleft(head[:size])


TOXIC = ToxicType(name="bandwidth", attributes=BandwidthAttributes, stage=BandwidthStage)
