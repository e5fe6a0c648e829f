"""What all proxies of one server share: options, timers, wire log, events, leases, tasks, the stop on the garbage collector."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from itertools import count
from typing import Any

from chaos.proxy.collector import QuietCollector
from chaos.proxy.events import EventHub
from chaos.proxy.leases import Leases
from chaos.proxy.settings import Options
from chaos.proxy.timers import Timers
from chaos.proxy.wirelog import WireLog

__all__ = ["Server"]


class Server:
    """Made on the running loop; `close()` ends its tasks and timers."""

    def __init__(self, options: Options) -> None:
        self.loop = asyncio.get_running_loop()
        self.options = options
        self.timers = Timers(self.loop)
        self.wire = WireLog(self.timers, options.wire_backlog_bytes)
        self.events = EventHub()
        self.connection_ids = count(1)
        self.leases = Leases(self.timers, self.events.emit)
        self.collector = QuietCollector(enabled=options.own_process)
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run in the background until done or `close()`; the tasks belong to connections, which outlive the call that made them."""
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    @property
    def tasks(self) -> int:
        """How many are running."""
        return len(self._tasks)

    async def close(self) -> None:
        """Cancel what runs, then free the timer."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.leases.close()
        self.wire.close()
        self.events.close()
        self.collector.close()
        self.timers.close()
