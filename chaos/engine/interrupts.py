"""Signals that end a run early: they cancel its body, never its healing."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
import anyio.abc

__all__ = ["Interrupts", "watch_interrupts"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """What was asked of us, and the scope to cancel when it is asked."""

    def __init__(self, on_signal: Callable[[str], None]) -> None:
        self.signal: str | None = None
        self._on_signal = on_signal
        self._scopes: list[anyio.CancelScope] = []

    def guard(self) -> anyio.CancelScope:
        """A scope that a signal cancels, also one that came before it was entered."""
        scope = anyio.CancelScope()
        self._scopes.append(scope)
        if self.signal is not None:
            scope.cancel()
        return scope

    def hit(self, name: str) -> None:
        """Record the first signal and cancel every guarded scope."""
        if self.signal is None:
            self.signal = name
            self._on_signal(name)
        for scope in self._scopes:
            scope.cancel()


@asynccontextmanager
async def watch_interrupts(on_signal: Callable[[str], None]) -> AsyncIterator[Interrupts]:
    """Listen for SIGINT, SIGTERM and SIGHUP while the block runs; outside the main thread signals stay with the host program."""
    interrupts = Interrupts(on_signal)

    async def listen(*, task_status: anyio.abc.TaskStatus[None]) -> None:
        try:
            with anyio.open_signal_receiver(*_SIGNALS) as signals:
                task_status.started()
                async for one in signals:
                    interrupts.hit(signal.Signals(one).name)
        except (RuntimeError, ValueError):  # not the main thread
            task_status.started()

    async with anyio.create_task_group() as group:
        await group.start(listen)
        try:
            yield interrupts
        finally:
            group.cancel_scope.cancel()
