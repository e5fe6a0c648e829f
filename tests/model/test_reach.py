"""How far faults reach: callers by the map, operations by their routes, amounts as the limits count them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chaos.model.fault import FaultSpec
from chaos.model.link import Link
from chaos.model.plan import Plan, WorkloadPlan
from chaos.model.reach import amount_of, reach_of
from chaos.model.scenario import LinkMap, Scenario, Timeline, WorkloadSpec
from chaos.model.workload import OperationKind

PARTS = ["driver", "api", "rag", "gateway", "postgres", "provider"]
SHOP = ("driver>api", "api>rag", "rag>gateway", "gateway>provider", "rag>postgres", "driver>gateway")


def plan(*faults: FaultSpec, links: tuple[str, ...] = SHOP, routes: dict[str, tuple[str, ...]] | None = None) -> Plan:
    """A plan with one workload, an operation for each route."""
    routes = routes or {"ask": SHOP[:5], "chat": (SHOP[5], SHOP[3])}
    spec = WorkloadSpec(name="w", kind="http", rate_per_s=1)
    return Plan(
        scenario=Scenario(
            name="s",
            links=LinkMap(name="m", links=tuple(Link(name=name) for name in links)),
            workloads=(spec,),
            timeline=Timeline(faults=faults),
        ),
        workloads=(
            WorkloadPlan(
                spec=spec, operations=tuple(OperationKind(name=name, route=route) for name, route in routes.items())
            ),
        ),
    )


def fault(*links: str, at_ms: float = 0, for_ms: float = 1000, name: str = "f") -> FaultSpec:
    """A refusal on these links."""
    return FaultSpec(name=name, kind="refuse", links=links, at_ms=at_ms, for_ms=for_ms)


def test_callers_come_first_then_who_calls_them() -> None:
    """Nearest first, each once, and the driver is none of them."""
    reach = reach_of(plan(one := fault("gateway>provider")), one)
    assert (reach.callers, reach.behind) == (("gateway",), ("rag", "api"))
    assert reach.operations == ("w.ask", "w.chat")
    reach = reach_of(plan(one := fault("rag>postgres", "driver>gateway")), one)
    assert (reach.callers, reach.behind, reach.operations) == (("rag",), ("api",), ("w.ask", "w.chat"))
    reach = reach_of(plan(one := fault("driver>api")), one)
    assert (reach.callers, reach.behind, reach.operations) == ((), (), ("w.ask",))


def test_amounts_count_each_link() -> None:
    """Two faults overlap on three links; a third comes later."""
    faults = (
        fault("api>rag", "rag>postgres", for_ms=2000, name="a"),
        fault("rag>gateway", at_ms=1000, for_ms=2000, name="b"),
        fault("driver>api", at_ms=3000, for_ms=500, name="c"),
    )
    amount = amount_of(plan(*faults))
    assert (amount.at_once, amount.total_ms, amount.end_ms) == (3, 6500, 3500)
    assert amount_of(plan()).at_once == 0


@given(
    pairs=st.lists(st.tuples(st.sampled_from(PARTS), st.sampled_from(PARTS[1:])), min_size=1, max_size=15, unique=True),
    data=st.data(),
)
def test_everybody_who_reaches_the_fault_is_named_once(pairs: list[tuple[str, str]], data: st.DataObject) -> None:
    """Callers and those behind them are exactly the parts from which a way leads over a faulted link, loops included."""
    links = tuple(f"{caller}>{callee}" for caller, callee in pairs if caller != callee) or ("driver>api",)
    faulted = tuple(data.draw(st.sets(st.sampled_from(links), min_size=1)))
    reach = reach_of(plan(one := fault(*faulted), links=links, routes={"o": links[:1]}), one)
    named = [*reach.callers, *reach.behind]
    edges = [tuple(name.split(">")) for name in links]
    wanted = {caller for caller, callee in edges if f"{caller}>{callee}" in faulted}
    while more := {caller for caller, callee in edges if callee in wanted - {"driver"}} - wanted:
        wanted |= more
    assert sorted(named) == sorted(wanted - {"driver"})
    assert bool(reach.operations) == (links[0] in faulted)
