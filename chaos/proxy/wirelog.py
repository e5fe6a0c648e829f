"""The wire log: tuples in, one msgpack batch every 5 ms out to every subscriber, bounded, never in the way of data.

A batch is an array of `WireRecord` arrays. While nobody subscribes, batches are kept for the first who does. Beyond the bound
the oldest go, are counted, and a `lost` record stands where they were.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from chaos.proxy.timers import Timer, Timers

__all__ = ["Subscription", "WireLog"]

BATCH_NS = 5_000_000


class Subscription:
    """Batches for one reader, in order; `backlog_bytes` wait, `lost` records were dropped in all."""

    def __init__(self, limit_bytes: int) -> None:
        self.backlog_bytes = 0
        self.lost = 0
        self._limit_bytes = limit_bytes
        self._lost_here = 0
        self._lost_at_ns = 0
        self._batches: deque[tuple[bytes, int]] = deque()
        self._closed = False
        self._news = asyncio.Event()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._iterate()

    async def _iterate(self) -> AsyncIterator[bytes]:
        while True:
            for batch in self.take():
                yield batch
            if self._closed and not self._batches:
                return
            await self._news.wait()

    def take(self) -> list[bytes]:
        """Everything that waits, now; a loss first."""
        batches = [batch for batch, _ in self._batches]
        if self._lost_here:
            batches.insert(0, self.loss(self._lost_at_ns, self._lost_here))
        self._batches.clear()
        self.backlog_bytes = self._lost_here = 0
        if not self._closed:
            self._news.clear()
        return batches

    def loss(self, t_ns: int, count: int) -> bytes:
        """The batch that tells a loss."""
        return msgspec.msgpack.encode([(t_ns, "lost", "", 0, 0, "", "", count)])

    def put(self, batch: bytes, count: int) -> None:
        """Add a batch of `count` records; drops the oldest beyond the bound."""
        self._batches.append((batch, count))
        self.backlog_bytes += len(batch)
        while self.backlog_bytes > self._limit_bytes and self._batches:
            dropped, records = self._batches.popleft()
            self.backlog_bytes -= len(dropped)
            self._lost_here += records
            self.lost += records
            self._lost_at_ns = time.monotonic_ns()
        self._news.set()

    def close(self) -> None:
        """No more batches; a reader ends after what waits."""
        self._closed = True
        self._news.set()


class WireLog:
    """`append(record)` takes a tuple in `WireRecord`'s order; trailing fields may be left out."""

    def __init__(self, timers: Timers, limit_bytes: int) -> None:
        self._timers = timers
        self._limit_bytes = limit_bytes
        self._encoder = msgspec.msgpack.Encoder()
        self._records: list[tuple[Any, ...]] = []
        self._timer: Timer | None = None
        self._spool = Subscription(limit_bytes)
        self._subscriptions: list[Subscription] = []
        self.lost = 0

    def append(self, record: tuple[Any, ...]) -> None:
        """Note a record; the first one of a batch starts its 5 ms."""
        self._records.append(record)
        if self._timer is None:
            self._timer = self._timers.at(time.monotonic_ns() + BATCH_NS, self.flush)

    def flush(self) -> None:
        """Encode what is noted and hand it to the subscribers."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._records:
            records, self._records = self._records, []
            batch = self._encoder.encode(records)
            for subscription in self._subscriptions or [self._spool]:
                before = subscription.lost
                subscription.put(batch, len(records))
                self.lost += subscription.lost - before

    @property
    def backlog_bytes(self) -> int:
        """Bytes that wait for the slowest reader, or for the first one."""
        return max(one.backlog_bytes for one in self._subscriptions or [self._spool])

    @contextmanager
    def subscribe(self) -> Iterator[Subscription]:
        """Batches from here on; the first subscriber also gets those kept so far."""
        self.flush()
        if self._subscriptions:
            subscription = Subscription(self._limit_bytes)
        else:
            subscription, self._spool = self._spool, Subscription(self._limit_bytes)
        self._subscriptions.append(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions.remove(subscription)
            subscription.close()

    def close(self) -> None:
        """Hand out what is left and end every subscription."""
        self.flush()
        for subscription in self._subscriptions:
            subscription.close()
