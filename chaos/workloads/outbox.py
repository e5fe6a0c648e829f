"""What goes to the conductor: in order, in batches, never in the load's way. A conductor that does not read costs evidence, counted."""

from __future__ import annotations

import time
from collections import deque

import anyio
from anyio.abc import ByteSendStream

from chaos.model.event import EvidenceLost
from chaos.model.operation import Operation
from chaos.workloads.protocol import Drained, OperationsBatch, Ready, Report, SetupFailed, encode_frame

__all__ = ["Outbox"]

_EVERY_S = 0.1
_BACKLOG = 20_000  # records kept for a conductor that does not read: minutes of load
_BATCH = 500

_Item = Operation | Report


class Outbox:
    """A bounded backlog of operations and reports, and the one task that sends it."""

    def __init__(self, stream: ByteSendStream, *, backlog: int = _BACKLOG) -> None:
        self._stream = stream
        self._room = backlog
        self._items: deque[_Item] = deque()
        self._lost = 0
        self._closing = False
        self._urgent = anyio.Event()

    def __repr__(self) -> str:
        return f"<Outbox {len(self._items)} waiting, {self._lost} lost>"

    def put(self, item: _Item) -> None:
        """Take a record; evidence beyond the backlog is counted as lost, replies to commands never are."""
        reply = isinstance(item, Ready | SetupFailed | Drained)
        if len(self._items) >= self._room and not reply:
            self._lost += 1
            return
        self._items.append(item)
        if reply:
            self._urgent.set()

    def close(self) -> None:
        """Let `run` send what there is and end; what is put from now on may not be sent."""
        self._closing = True
        self._urgent.set()

    async def run(self) -> None:
        """Send what there is every 100 ms, replies at once, until closed. Raises anyio.BrokenResourceError when the conductor is gone.

        Only this task sends, and it is not to be cancelled before its end: half a frame would garble all that follows.
        """
        while not self._closing:
            with anyio.move_on_after(_EVERY_S):
                await self._urgent.wait()
            self._urgent = anyio.Event()
            await self._flush()
        await self._flush()  # what came while the last one was being sent

    async def _flush(self) -> None:
        while self._items:
            await self._stream.send(self._next_frame())
        if self._lost:
            lost, self._lost = self._lost, 0
            what = "records of the load driver (the conductor did not read)"
            await self._stream.send(encode_frame(EvidenceLost(t_ns=time.monotonic_ns(), what=what, count=lost)))

    def _next_frame(self) -> bytes:
        """The next report, or as many operations as there are in a row."""
        item = self._items.popleft()
        if not isinstance(item, Operation):
            return encode_frame(item)
        batch = [item]
        while self._items and len(batch) < _BATCH and isinstance(self._items[0], Operation):
            batch.append(self._items.popleft())  # type: ignore[arg-type]  # it was looked at
        return encode_frame(OperationsBatch(operations=tuple(batch)))
