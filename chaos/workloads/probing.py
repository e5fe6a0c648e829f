"""Recovery probes of one workload: one at a time, its operations in turn, until enough in a row are right and quick.

Quick is meant as isolation means it: by the median. Of k probes in a row each must be right; their median must be at baseline speed, so
that one pause of a busy machine is not taken for a system that has not recovered.
"""

from __future__ import annotations

import time
from itertools import count, cycle
from statistics import median

import anyio

from chaos.model.event import ProbesFinished
from chaos.model.plan import WorkloadPlan
from chaos.model.workload import OperationKind
from chaos.workloads.flight import Departure
from chaos.workloads.flights import Flights
from chaos.workloads.identity import PROBE_INDEX
from chaos.workloads.load import sleep_until

__all__ = ["Prober"]

_PACE_NS = 150_000_000  # probes come beside the load: together they must not be what keeps a system from recovering


class Prober:
    """Probes a workload and keeps its place: indexes of a later round go on where the last one ended."""

    def __init__(self, workload: WorkloadPlan, flights: Flights) -> None:
        self._workload = workload
        self._flights = flights
        self._indexes = count(PROBE_INDEX)

    async def run(self, k: int, within_ms: float, limits_ms: dict[str, float]) -> ProbesFinished:
        """Probe until `k` in a row, and at least one of each operation, are right and their median is quick, or the time is over.

        A probe still waiting when the time is over goes on until its own wait ends, and is recorded then.
        """
        needed = max(k, len(self._workload.operations))
        sent, passed = 0, False
        in_a_row: list[float] = []
        with anyio.move_on_after(within_ms / 1000):
            for kind in cycle(self._workload.operations):
                sent += 1
                departure = self._departure(kind)
                took = await self._took(departure, limits_ms)
                in_a_row = [] if took is None else [*in_a_row, took]
                passed = len(in_a_row) >= needed and median(in_a_row[-needed:]) <= 1
                if passed:
                    break
                await sleep_until(departure.intended_ns + _PACE_NS)
        return ProbesFinished(
            t_ns=time.monotonic_ns(),
            workload=self._workload.name,
            passed=passed,
            in_a_row=len(in_a_row),
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

    async def _took(self, departure: Departure, limits_ms: dict[str, float]) -> float | None:
        """The latency of one probe as a share of its limit (0 without a limit), or None for one that is not right."""
        flight = self._flights.launch(departure)
        await flight.landed.wait()
        done = flight.operation
        if done is None or not done.ok or done.unmet or done.latency_ms is None:
            return None
        name = self._workload.name
        limit_ms = limits_ms.get(f"{name}.{departure.operation.name}", limits_ms.get(name))
        return 0.0 if limit_ms is None else done.latency_ms / limit_ms
