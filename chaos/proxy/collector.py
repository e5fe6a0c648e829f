"""The garbage collector stands still while a fault is scheduled: a collection at onset would show as the fault's lateness."""

from __future__ import annotations

import gc

__all__ = ["QuietCollector"]


class QuietCollector:
    """Counts scheduled faults; from the first to the last the collector is frozen and off. Only for a process of our own."""

    def __init__(self, *, enabled: bool) -> None:
        self._enabled = enabled
        self._holds = 0

    def hold(self) -> None:
        """One more fault is scheduled."""
        self._holds += 1
        if self._enabled and self._holds == 1:
            gc.freeze()
            gc.disable()

    def let_go(self) -> None:
        """One fault less."""
        self._holds -= 1
        if self._enabled and self._holds == 0:
            gc.enable()
            gc.unfreeze()

    def close(self) -> None:
        """Leave the collector running, whatever is still scheduled."""
        if self._holds:
            self._holds = 1
            self.let_go()
