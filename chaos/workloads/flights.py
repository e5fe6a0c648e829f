"""All operations in the air: launched at once, counted until they land, abandoned together when the time is over."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

import anyio
import anyio.abc

from chaos.model.event import EvidenceLost
from chaos.model.operation import Operation
from chaos.workloads.flight import Departure, Flight

__all__ = ["Flights"]


class Flights:
    """Launches operations into a task group and hands their records on."""

    def __init__(
        self,
        fly: Callable[[Flight], Awaitable[None]],
        tasks: anyio.abc.TaskGroup,
        emit: Callable[[Operation | EvidenceLost], None],
    ) -> None:
        self._fly = fly
        self._tasks = tasks
        self._emit = emit
        self._aloft: set[Flight] = set()
        self._empty = anyio.Event()

    def __len__(self) -> int:
        return len(self._aloft)

    def of(self, workload: str) -> int:
        """How many scheduled operations of that workload are in the air; probes do not take the load's places."""
        return sum(one.departure.workload.name == workload and not one.departure.probe for one in self._aloft)

    def launch(self, departure: Departure) -> Flight:
        """Start an operation now; it counts as in flight from this call on."""
        flight = Flight(departure)
        self._aloft.add(flight)
        self._tasks.start_soon(self._one, flight)
        return flight

    async def drain(self, within_s: float) -> int:
        """Wait until nothing is in the air; what still waits when the time is over is abandoned. Returns how many those were."""
        with anyio.move_on_after(within_s):
            while self._aloft:
                self._empty = anyio.Event()
                await self._empty.wait()
        return self.abandon()

    def abandon(self) -> int:
        """Stop waiting for everything in the air and count it as lost evidence."""
        abandoned = len(self._aloft)
        for flight in self._aloft:
            flight.abandon()
        if abandoned:
            self._emit(
                EvidenceLost(
                    t_ns=time.monotonic_ns(), what="operations still in flight when the load ended", count=abandoned
                )
            )
        return abandoned

    async def _one(self, flight: Flight) -> None:
        try:
            await self._fly(flight)
        finally:
            self._aloft.discard(flight)
            flight.landed.set()
            if not self._aloft:
                self._empty.set()
        if flight.operation is not None:
            self._emit(flight.operation)
        elif not flight.abandoned:
            self._emit(
                EvidenceLost(
                    t_ns=time.monotonic_ns(), what="operations the load driver could not record (see its log)", count=1
                )
            )
