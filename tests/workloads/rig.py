"""A driver process under the control of a test, and plans for it."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import anyio.to_thread

from chaos.model.event import EvidenceLost, LoadCounted, LoopLagged, ProbesFinished
from chaos.model.operation import Operation
from chaos.model.plan import WorkloadPlan
from chaos.model.scenario import Arrivals, WorkloadSpec
from chaos.model.settings import Settings
from chaos.model.workload import OperationKind
from chaos.workloads import Control, DriverFailed, DriverPlan, Endpoints, OperationsBatch, open_control
from chaos.workloads.kinds import REFERENCE_WORKLOADS

KEY = "a-digest-key"
RUN = "run-1"
HANG_S = 30


@dataclass(slots=True)
class Collected:
    """Everything the driver reported, sorted; `changed` is set anew with each message."""

    operations: list[Operation] = field(default_factory=list)
    lags: list[LoopLagged] = field(default_factory=list)
    counts: dict[tuple[str, str], LoadCounted] = field(default_factory=dict)
    probes: dict[str, ProbesFinished] = field(default_factory=dict)
    lost: list[EvidenceLost] = field(default_factory=list)
    failures: list[DriverFailed] = field(default_factory=list)
    ended: bool = False
    changed: anyio.Event = field(default_factory=anyio.Event)

    async def collect(self, control: Control) -> None:
        """Take messages until the driver is gone."""
        async for message in control.messages():
            match message:
                case OperationsBatch(operations=operations):
                    self.operations += operations
                case LoopLagged():
                    self.lags.append(message)
                case LoadCounted(workload=workload, phase=phase):
                    self.counts[workload, phase] = message
                case ProbesFinished(workload=workload):
                    self.probes[workload] = message
                case EvidenceLost():
                    self.lost.append(message)
                case DriverFailed():
                    self.failures.append(message)
            self._notify()
        self.ended = True
        self._notify()

    async def until(self, condition: Callable[[Collected], bool]) -> None:
        """Wait for the condition; a test that hangs fails here."""
        with anyio.fail_after(HANG_S):
            while not condition(self):
                await self.changed.wait()

    def _notify(self) -> None:
        self.changed.set()
        self.changed = anyio.Event()


@dataclass(frozen=True, slots=True)
class Rig:
    """A driver process, its control, and what it said."""

    control: Control
    process: subprocess.Popen[bytes]
    seen: Collected
    log: Path


@asynccontextmanager
async def running_driver(*, collect: bool = True) -> AsyncIterator[Rig]:
    """Start a driver; it is gone when the block ends."""
    with tempfile.TemporaryDirectory(prefix="drv") as folder:
        path = Path(folder) / "s"
        log = Path(folder) / "log"
        async with open_control(path) as control:
            with log.open("wb") as file:
                process = subprocess.Popen(
                    [sys.executable, "-m", "chaos.workloads", str(path)],
                    stdin=subprocess.DEVNULL,
                    stdout=file,
                    stderr=file,
                )
            seen = Collected()
            try:
                async with anyio.create_task_group() as group:
                    if collect:
                        group.start_soon(seen.collect, control)
                    yield Rig(control, process, seen, log)
                    await control.quit()
                    await anyio.to_thread.run_sync(lambda: process.wait(HANG_S))
                    group.cancel_scope.cancel()
            finally:
                process.kill()
                process.wait(10)


def kind_plan(
    kind: str,
    *operations: str,
    rate: float = 20.0,
    bound: int = 32,
    arrivals: Arrivals = Arrivals.CONSTANT,
    deadline_ms: float | None = None,
) -> WorkloadPlan:
    """A workload of a shipped kind, of those operations only (all by default)."""
    shipped = next(one for one in REFERENCE_WORKLOADS if one.name == kind)
    chosen = tuple(one for one in shipped.operations if not operations or one.name in operations)
    if deadline_ms is not None:
        chosen = tuple(_with_deadline(one, deadline_ms) for one in chosen)
    spec = WorkloadSpec(name=kind, kind=kind, rate_per_s=rate, bound=bound, arrivals=arrivals)
    return WorkloadPlan(spec=spec, operations=chosen)


def driver_plan(*workloads: WorkloadPlan, endpoints: Endpoints, key: str = KEY, namespace: str = "ref") -> DriverPlan:
    """A plan with seed 7."""
    return DriverPlan(
        run_id=RUN,
        namespace=namespace,
        seed=7,
        endpoints=endpoints,
        digest_key=key,
        workloads=workloads,
        settings=Settings(),
    )


def _with_deadline(kind: OperationKind, deadline_ms: float) -> OperationKind:
    return OperationKind(
        name=kind.name,
        route=kind.route,
        writes=kind.writes,
        asynchronous=kind.asynchronous,
        streams=kind.streams,
        deadline_ms=deadline_ms,
        weight=kind.weight,
    )
