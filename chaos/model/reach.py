"""How far the faults of a plan reach: who can feel each of them, and how much of them there is. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from chaos.model.base import Data
from chaos.model.fault import FaultSpec
from chaos.model.link import Link
from chaos.model.plan import Plan

__all__ = ["Amount", "Reach", "amount_of", "reach_of"]

_DRIVER = "driver"


class Reach(Data, frozen=True, kw_only=True):
    """Whom a fault can touch: the callers on its links, those who call them (nearest first), and operations as `workload.operation`.

    The driver is none of them. What passes a faulted link is touched whoever asked for it, work that no operation started included.
    """

    callers: tuple[str, ...]
    behind: tuple[str, ...]
    operations: tuple[str, ...]


class Amount(Data, frozen=True, kw_only=True):
    """How much fault there is: `at_once` active pairs of fault and link, `total_ms` summed over links, `end_ms` of the last one."""

    at_once: int
    total_ms: float
    end_ms: float


def reach_of(plan: Plan, fault: FaultSpec) -> Reach:
    """Who can feel this fault, by the link map and the declared routes."""
    links = set(fault.links)
    callers = tuple(dict.fromkeys(link.caller for link in plan.links if link.name in links and link.caller != _DRIVER))
    return Reach(
        callers=callers,
        behind=tuple(_callers_of(callers, plan.links)),
        operations=tuple(
            f"{workload.name}.{one.name}"
            for workload in plan.workloads
            for one in workload.operations
            if links & set(one.route)
        ),
    )


def _callers_of(parts: Iterable[str], links: Iterable[Link]) -> list[str]:
    """Everybody who calls these parts, or calls who does, nearest first."""
    known = [*parts]
    first = len(known)
    for part in known:
        known += [
            name
            for name in dict.fromkeys(link.caller for link in links if link.callee == part)
            if name != _DRIVER and name not in known
        ]
    return known[first:]


def amount_of(plan: Plan) -> Amount:
    """How much fault the timeline holds, as its limits count it."""
    faults = plan.faults
    return Amount(
        at_once=max((_active_at(one.at_ms, faults) for one in faults), default=0),
        total_ms=sum(one.for_ms * len(one.links) for one in faults),
        end_ms=plan.scenario.timeline.end_ms,
    )


def _active_at(at_ms: float, faults: Iterable[FaultSpec]) -> int:
    return sum(len(one.links) for one in faults if one.at_ms <= at_ms < one.end_ms)
