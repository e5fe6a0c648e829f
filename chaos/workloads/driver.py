"""The driver of one run: carries out the conductor's commands."""

from __future__ import annotations

import gc
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass

import anyio
import anyio.abc

from chaos.errors import NotReadyError
from chaos.workloads.checks import Checks
from chaos.workloads.corpus import Corpus
from chaos.workloads.counts import LoadCounts
from chaos.workloads.flight import Pilot
from chaos.workloads.flights import Flights
from chaos.workloads.http_door import open_http
from chaos.workloads.lag import watch_lag
from chaos.workloads.load import Load
from chaos.workloads.nats_door import NatsDoor, open_nats
from chaos.workloads.operations import Doors
from chaos.workloads.outbox import Outbox
from chaos.workloads.plain_doors import open_plain
from chaos.workloads.preparing import prepare, refuse_unknown
from chaos.workloads.probing import Prober
from chaos.workloads.protocol import (
    Command,
    Drain,
    Drained,
    DriverPlan,
    Phase,
    Probe,
    Quit,
    Ready,
    Setup,
    SetupFailed,
    Start,
    StopLoad,
)

__all__ = ["Driver"]

_COUNTS_EVERY_S = 1.0
_SPARE_CONNECTIONS = 32  # probes and seed documents, beside the bounds of the load


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """What exists once set-up is done."""

    flights: Flights
    load: Load
    probers: tuple[Prober, ...]


class Driver:
    """Obeys commands in order; what takes time runs in `tasks`. Connections close with `connections`."""

    def __init__(self, outbox: Outbox, tasks: anyio.abc.TaskGroup, connections: AsyncExitStack) -> None:
        self._outbox = outbox
        self._tasks = tasks
        self._connections = connections
        self._counts = LoadCounts()
        self._run: _Run | None = None
        self._started = False
        self._probing: set[anyio.CancelScope] = set()

    def obey(self, command: Command) -> bool:
        """Carry out a command; False when it was the last one. Raises NotReadyError for one out of turn."""
        match command:
            case Setup():
                self._tasks.start_soon(self._set_up, command)
            case Start(at_ns=at_ns):
                self._start(at_ns)
            case Phase(phase=phase, at_ns=at_ns):
                self._counts.phase(phase, at_ns)
            case Probe():
                for prober in self._ready.probers:
                    self._tasks.start_soon(self._probe, prober, command)
            case StopLoad():
                self._stop_load()
            case Drain(within_s=within_s):
                self._tasks.start_soon(self._drain, within_s)
            case Quit():
                return False
        return True

    def finish(self) -> None:
        """Stop what runs and hand the last counts to the outbox."""
        self._stop_load()
        if self._run is not None:
            self._run.flights.abandon()
            self._report_counts(final=True)

    @property
    def _ready(self) -> _Run:
        if self._run is None:
            raise NotReadyError("a command came before set-up was done")
        return self._run

    def _start(self, at_ns: int) -> None:
        if self._started:  # the same indexes again would be the same op ids
            raise NotReadyError("the load of a run can be started once")
        self._started = True
        self._tasks.start_soon(self._ready.load.run, at_ns)

    def _stop_load(self) -> None:
        for probing in self._probing:
            probing.cancel()
        if self._run is not None:
            self._run.load.stop()

    async def _probe(self, prober: Prober, command: Probe) -> None:
        """Probe to the end and tell of it; cut short by the end of the load, it proved nothing."""
        with anyio.CancelScope() as probing:
            self._probing.add(probing)
            self._outbox.put(await prober.run(command.k, command.within_ms, command.limits_ms))
        self._probing.discard(probing)

    async def _drain(self, within_s: float) -> None:
        abandoned = await self._run.flights.drain(within_s) if self._run is not None else 0
        self._report_counts(final=True)
        self._outbox.put(Drained(abandoned=abandoned))

    async def _set_up(self, command: Setup) -> None:
        began = anyio.current_time()
        try:
            refuse_unknown(command.plan)
            corpus = Corpus.of(command.plan.run_id, command.plan.seed)
            doors = await self._open_doors(command.plan, corpus, command.within_s)
            await prepare(command.plan, doors, corpus, max(0.1, command.within_s - (anyio.current_time() - began)))
        except NotReadyError as error:
            self._outbox.put(SetupFailed(reason=str(error)))
            return
        self._begin(command.plan, Pilot(command.plan, doors, corpus))
        self._outbox.put(Ready())

    async def _open_doors(self, plan: DriverPlan, corpus: Corpus, within_s: float) -> Doors:
        connections = sum(one.spec.bound for one in plan.workloads) + _SPARE_CONNECTIONS
        return Doors(
            http=await self._connections.enter_async_context(open_http(connections)),
            endpoints=plan.endpoints,
            checks=Checks(key=plan.digest_key.encode(), corpus=corpus),
            nats=await self._open_nats(plan, within_s),
            plain=await self._connections.enter_async_context(open_plain(plan, within_s)),
        )

    async def _open_nats(self, plan: DriverPlan, within_s: float) -> NatsDoor | None:
        if plan.endpoints.nats is None:
            return None
        try:
            with anyio.fail_after(within_s):
                return await self._connections.enter_async_context(open_nats(plan.endpoints.nats, plan.namespace))
        except Exception as error:  # whatever the client raises; its text may hold the URL, and that the password
            raise NotReadyError(
                f"NATS could not be reached within {within_s:.1f} s ({type(error).__name__})"
            ) from error

    def _begin(self, plan: DriverPlan, pilot: Pilot) -> None:
        flights = Flights(pilot.fly, self._tasks, self._outbox.put)
        load = Load(
            seed=plan.seed,
            workloads=plan.workloads,
            late_ms=plan.settings.late_ms,
            counts=self._counts,
            flights=flights,
        )
        self._run = _Run(flights=flights, load=load, probers=tuple(Prober(one, flights) for one in plan.workloads))
        self._tasks.start_soon(watch_lag, plan.settings.loop_lag_ms, self._outbox.put)
        self._tasks.start_soon(self._count)
        gc.collect()
        gc.freeze()  # what set-up made stays; a full collection need not look at it again

    async def _count(self) -> None:
        while True:
            await anyio.sleep(_COUNTS_EVERY_S)
            self._report_counts()

    def _report_counts(self, *, final: bool = False) -> None:
        for one in self._counts.report(time.monotonic_ns(), final=final):
            self._outbox.put(one)
