"""Plain workloads as a scenario says them, flown by the driver's own pilot."""

from __future__ import annotations

import asyncio
import os
import textwrap
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import count

import msgspec

from chaos.engine.planning import vocabulary
from chaos.model.operation import Operation
from chaos.model.plain_routes import plain_operations
from chaos.model.plan import WorkloadPlan
from chaos.model.reading import read_link_map, read_scenario
from chaos.model.scenario import Scenario
from chaos.workloads import DriverPlan, Endpoints
from chaos.workloads.checks import Checks
from chaos.workloads.corpus import Corpus
from chaos.workloads.flight import Departure, Flight, Pilot
from chaos.workloads.http_door import open_http
from chaos.workloads.operations import Doors
from chaos.workloads.plain_doors import open_plain
from tests.workloads.rig import HANG_S, KEY, RUN, driver_plan

CORPUS = Corpus.of(RUN, 7)
LINKS = """
links:
  driver>orders: {protocol: http, traced: true}
  driver>nats: {protocol: nats}
  driver>db: {protocol: postgres}
  driver>cache: {}
  driver>mail: {}
  orders>db: {protocol: postgres}
"""


def scenario_with(workloads: str, *, more: str = "", links: str = LINKS) -> Scenario:
    """A scenario with these workloads (a YAML list)."""
    text = (
        "name: drill\nworkloads:\n"
        + textwrap.indent(textwrap.dedent(workloads).strip("\n"), "  ")
        + "\ntimeline:\n  faults:\n    - {fault: refuse, on: orders>db, for: 4s}\n"
        + textwrap.dedent(more)
    )
    return read_scenario(
        text,
        source="drill.yaml",
        vocabulary=vocabulary(),
        load_links=lambda _: read_link_map(links, source="shop.yaml"),
    )


def plan_with(scenario: Scenario, urls: dict[str, str]) -> DriverPlan:
    """The driver's plan for a scenario whose callees are there."""
    workloads = tuple(
        WorkloadPlan(spec=spec, operations=plain_operations(spec, scenario.links)) for spec in scenario.workloads
    )
    plan = driver_plan(*workloads, endpoints=Endpoints(links=urls))
    names = {name for one in scenario.workloads if one.plain is not None for name in one.plain.variables}
    return msgspec.structs.replace(plan, environment={name: os.environ[name] for name in names})


@dataclass(frozen=True, slots=True)
class Flyer:
    """Flies single operations of a plan."""

    plan: DriverPlan
    pilot: Pilot
    doors: Doors
    indexes: count[int]

    async def fly(self, name: str, workload: str = "") -> Operation:
        """An operation of the first workload, or of that one, from start to record."""
        flight = self.launch(name, workload)
        await asyncio.wait_for(self.pilot.fly(flight), HANG_S)
        assert flight.operation is not None
        return flight.operation

    async def until_idle_wires_ended(self, kind: str, to: str) -> None:
        """Wait until the driver noticed that the peer closed what it keeps."""
        dialer = self.doors.plain.dialers[kind, to]
        async with asyncio.timeout(HANG_S):
            while any(one.usable for one in dialer._idle):
                await asyncio.sleep(0)

    def launch(self, name: str, workload: str = "") -> Flight:
        """The flight of an operation, not started yet."""
        plan = next(one for one in self.plan.workloads if workload in ("", one.name))
        kind = next(one for one in plan.operations if one.name == name)
        return Flight(Departure(workload=plan, operation=kind, index=next(self.indexes), intended_ns=0))


@asynccontextmanager
async def flying(workloads: str, urls: dict[str, str], **how: str) -> AsyncIterator[Flyer]:
    """A pilot for the workloads of a scenario, with its doors open."""
    plan = plan_with(scenario_with(workloads, **how), urls)
    async with AsyncExitStack() as stack:
        doors = Doors(
            http=await stack.enter_async_context(open_http(4)),
            endpoints=plan.endpoints,
            checks=Checks(key=KEY.encode(), corpus=CORPUS),
            plain=await stack.enter_async_context(open_plain(plan, HANG_S)),
        )
        yield Flyer(plan, Pilot(plan, doors, CORPUS), doors, count())
