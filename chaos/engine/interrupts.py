"""What ends a run early, a signal, an abort condition or the loss of a part it stands on: it cancels the run's body, never its healing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import anyio

from chaos.engine.clock import now_ns
from chaos.engine.recorder import Recorder
from chaos.engine.signals import Signals

__all__ = ["Interrupts", "watch_abort", "watch_interrupts"]

_ABORT_EVERY_S = 1.0


class Interrupts:
    """What was asked of us or went wrong first, and the scopes to cancel then."""

    def __init__(self, on_signal: Callable[[str], None]) -> None:
        self.signal: str | None = None
        self.failure: str | None = None
        self.aborted = False
        self._on_signal = on_signal
        self._scopes: list[anyio.CancelScope] = []

    @property
    def over(self) -> bool:
        """Whether the run is to end early."""
        return self.signal is not None or self.failure is not None or self.aborted

    def guard(self) -> anyio.CancelScope:
        """A scope that the early end cancels, also one that came before it was entered."""
        scope = anyio.CancelScope()
        self._scopes.append(scope)
        if self.over:
            scope.cancel()
        return scope

    def let_go(self, scope: anyio.CancelScope) -> None:
        """From now on this scope is not cancelled any more."""
        self._scopes.remove(scope)

    def hit(self, name: str) -> None:
        """A signal: record the first one and cancel every guarded scope."""
        if self.signal is None:
            self.signal = name
            self._on_signal(name)
        self._cancel()

    def give_up(self, why: str) -> None:
        """Something the run stands on is lost: keep the first reason and cancel every guarded scope."""
        self.failure = self.failure or why
        self._cancel()

    def abort(self) -> None:
        """An abort condition was met: cancel every guarded scope."""
        self.aborted = True
        self._cancel()

    def _cancel(self) -> None:
        for scope in self._scopes:
            scope.cancel()


@contextmanager
def watch_interrupts(signals: Signals, on_signal: Callable[[str], None]) -> Iterator[Interrupts]:
    """Take signals to the loop that runs while the block does; those that came before are taken at once."""
    interrupts = Interrupts(on_signal)
    loop = asyncio.get_running_loop()

    def take(name: str) -> None:
        loop.call_soon_threadsafe(interrupts.hit, name)

    with signals.told_to(take):
        yield interrupts


async def watch_abort(recorder: Recorder, interrupts: Interrupts) -> None:
    """Look at the abort conditions every second until one is met; it ends the body, and healing follows at once."""
    while not interrupts.over:
        await anyio.sleep(_ABORT_EVERY_S)
        if recorder.abort is None:
            return
        met = recorder.abort.met(now_ns())
        if met is not None:
            recorder.emit(met)
            interrupts.abort()
