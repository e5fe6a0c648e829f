"""Cells of operations that stay clear while a fault lasts: which a plan has, by its routes, rates and times."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import ceil, sqrt

from chaos.model.fault import FaultSpec
from chaos.model.plan import Plan, WorkloadPlan
from chaos.model.scenario import Arrivals
from chaos.model.verdict import Cell, NotJudged
from chaos.model.workload import OperationKind
from chaos.oracles.between import DRIVER

__all__ = ["per_fault_apart"]

_SIGMAS = 3.0  # so few cells are promised operations that chance then withholds


def per_fault_apart(oracle: str, plan: Plan) -> Iterator[Cell | NotJudged]:
    """A cell for each fault and workload of which enough operations surely stay clear of all faults meanwhile."""
    for workload in plan.workloads:
        for fault in plan.faults:
            yield _apart(Cell(oracle=oracle, fault=fault.name, workload=workload.name), plan, fault, workload)


def _apart(cell: Cell, plan: Plan, fault: FaultSpec, workload: WorkloadPlan) -> Cell | NotJudged:
    missing = [one for one in workload.operations if not set(one.route) & set(fault.links)]
    if not missing:
        return NotJudged(
            cell=cell,
            reason=f"every operation of {workload.name} uses {' or '.join(fault.links[:3])}",
            enable=_elsewhere(plan, fault, workload),
        )
    required = plan.scenario.expect.settings.required_operations
    weights = sum(one.weight for one in workload.operations)
    clear_s = {one.name: _clear_ms(plan, fault, one) / 1000 for one in missing}
    expected = sum(workload.spec.rate_per_s * one.weight / weights * clear_s[one.name] for one in missing)
    even = workload.spec.arrivals is Arrivals.CONSTANT and len(missing) == len(workload.operations)
    surely = expected - 1 if even else expected - _SIGMAS * sqrt(expected)
    if surely >= required:
        return cell
    return NotJudged(
        cell=cell,
        reason=f"it is not sure that {required} operations of {workload.name} stay clear of all faults meanwhile (about {expected:.0f} should)",
        enable=_enough(fault, workload, expected, required),
    )


def _clear_ms(plan: Plan, fault: FaultSpec, operation: OperationKind) -> float:
    """How long the fault is planned to last while no other exposes the operation, settling included."""
    settle_ms = plan.scenario.expect.settings.settle_ms
    others = sorted(
        (max(one.at_ms, fault.at_ms), min(one.end_ms + settle_ms, fault.end_ms))
        for one in plan.faults
        if one.name != fault.name and set(one.links) & set(operation.route)
    )
    return fault.for_ms - _covered_ms(others)


def _covered_ms(spans: Sequence[tuple[float, float]]) -> float:
    covered_ms, reached_ms = 0.0, 0.0
    for start_ms, end_ms in spans:
        covered_ms += max(0.0, end_ms - max(start_ms, reached_ms))
        reached_ms = max(reached_ms, end_ms)
    return covered_ms


def _elsewhere(plan: Plan, fault: FaultSpec, workload: WorkloadPlan) -> str:
    """A link that some operation of the workload does not use."""
    free = [
        link.name
        for link in plan.links
        if link.caller != DRIVER and any(link.name not in one.route for one in workload.operations)
    ]
    return f"timeline.faults: {fault.name}: on: {free[0]}" if free else "a workload that uses other links"


def _enough(fault: FaultSpec, workload: WorkloadPlan, expected: float, required: int) -> str:
    if expected < 1:
        return f"timeline.faults: {fault.name}: at: a time when no other fault concerns {workload.name}"
    needed = (_SIGMAS + sqrt(_SIGMAS**2 + 4 * required)) ** 2 / 4  # of which chance leaves as many as are required
    return f"workloads: {workload.name}: rate: {ceil(workload.spec.rate_per_s * needed / expected)}/s"
