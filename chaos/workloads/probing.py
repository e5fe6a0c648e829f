"""Recovery probes of one workload: one at a time, its operations in turn, until enough in a row are right and quick."""

from __future__ import annotations

import time
from itertools import count, cycle

import anyio

from chaos.model.event import ProbesFinished
from chaos.model.operation import Operation
from chaos.model.plan import WorkloadPlan
from chaos.model.workload import OperationKind
from chaos.workloads.flight import Departure
from chaos.workloads.flights import Flights
from chaos.workloads.identity import PROBE_INDEX
from chaos.workloads.load import sleep_until

__all__ = ["Prober"]

_PACE_NS = 100_000_000  # a system that fails at once is not hammered


class Prober:
    """Probes a workload and keeps its place: indexes of a later round go on where the last one ended."""

    def __init__(self, workload: WorkloadPlan, flights: Flights) -> None:
        self._workload = workload
        self._flights = flights
        self._indexes = count(PROBE_INDEX)

    async def run(self, k: int, within_ms: float, limits_ms: dict[str, float]) -> ProbesFinished:
        """Probe until `k` in a row, and at least one of each operation, are right and quick, or the time is over.

        A probe still waiting when the time is over goes on until its own wait ends, and is recorded then.
        """
        needed = max(k, len(self._workload.operations))
        sent, in_a_row = 0, 0
        with anyio.move_on_after(within_ms / 1000):
            for kind in cycle(self._workload.operations):
                sent += 1
                departure = self._departure(kind)
                in_a_row = in_a_row + 1 if await self._good(departure, limits_ms) else 0
                if in_a_row >= needed:
                    break
                if not in_a_row:
                    await sleep_until(departure.intended_ns + _PACE_NS)
        return ProbesFinished(
            t_ns=time.monotonic_ns(),
            workload=self._workload.name,
            passed=in_a_row >= needed,
            in_a_row=in_a_row,
            sent=sent,
        )

    def _departure(self, kind: OperationKind) -> Departure:
        return Departure(
            workload=self._workload,
            operation=kind,
            index=next(self._indexes),
            intended_ns=time.monotonic_ns(),
            probe=True,
        )

    async def _good(self, departure: Departure, limits_ms: dict[str, float]) -> bool:
        flight = self._flights.launch(departure)
        await flight.landed.wait()
        name = self._workload.name
        limit_ms = limits_ms.get(f"{name}.{departure.operation.name}", limits_ms.get(name))
        return flight.operation is not None and _right_and_quick(flight.operation, limit_ms)


def _right_and_quick(operation: Operation, limit_ms: float | None) -> bool:
    """Ok, its content as declared, and within the limit if there is one."""
    if not operation.ok or operation.unmet or operation.latency_ms is None:
        return False
    return limit_ms is None or operation.latency_ms <= limit_ms
