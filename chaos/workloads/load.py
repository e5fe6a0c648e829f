"""The open-loop load: every workload's arrivals on CLOCK_MONOTONIC. Answers never move a start; at the bound a start is dropped."""

from __future__ import annotations

import time

import anyio
import anyio.lowlevel

from chaos.model.plan import WorkloadPlan
from chaos.schedule import ArrivalStream, OperationChoice, stream_rng
from chaos.workloads.counts import LoadCounts
from chaos.workloads.flight import Departure
from chaos.workloads.flights import Flights

__all__ = ["Load", "sleep_until"]


async def sleep_until(t_ns: int) -> None:
    """Wait until that moment of CLOCK_MONOTONIC, never early; lets other tasks run even when it is past."""
    await anyio.lowlevel.checkpoint()
    while (left_ns := t_ns - time.monotonic_ns()) > 0:  # noqa: ASYNC110 -- time is what we wait for
        await anyio.sleep(left_ns / 1e9)


class Load:
    """Starts operations of all workloads and counts what it could not start or started late."""

    def __init__(
        self, *, seed: int, workloads: tuple[WorkloadPlan, ...], late_ms: float, counts: LoadCounts, flights: Flights
    ) -> None:
        self._seed = seed
        self._workloads = workloads
        self._late_ns = int(late_ms * 1e6)
        self._counts = counts
        self._flights = flights
        self._pacing = anyio.CancelScope()

    async def run(self, at_ns: int) -> None:
        """Pace all workloads from `at_ns` until `stop`; operations in flight outlive the pacing."""
        with self._pacing:
            async with anyio.create_task_group() as pacers:
                for workload in self._workloads:
                    pacers.start_soon(self._pace, workload, at_ns)

    def stop(self) -> None:
        """No more starts from here on."""
        self._pacing.cancel()

    async def _pace(self, workload: WorkloadPlan, at_ns: int) -> None:
        spec = workload.spec
        arrivals = ArrivalStream(spec.arrivals, spec.rate_per_s, stream_rng(self._seed, spec.name, "arrivals"))
        choice = OperationChoice(workload.operations, stream_rng(self._seed, spec.name, "choice"))
        index, intended_ns = 0, at_ns
        while True:
            intended_ns = arrivals.after_ns(intended_ns)
            departure = Departure(workload=workload, operation=choice.draw(), index=index, intended_ns=intended_ns)
            await sleep_until(intended_ns)
            self._depart(departure)
            index += 1

    def _depart(self, departure: Departure) -> None:
        name, intended_ns = departure.workload.name, departure.intended_ns
        if self._flights.of(name) >= departure.workload.spec.bound:
            self._counts.dropped(name, intended_ns)
            return
        self._counts.started(name, intended_ns, late=time.monotonic_ns() - intended_ns > self._late_ns)
        self._flights.launch(departure)
