"""The shapes of cells: per fault and workload, per fault, per workload, per run; and why a cell does not apply."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from chaos.model.fault import FaultSpec
from chaos.model.link import Link
from chaos.model.plan import Plan, WorkloadPlan
from chaos.model.verdict import Cell, NotJudged
from chaos.model.workload import OperationKind
from chaos.oracles.between import DRIVER, shields_system

__all__ = ["per_fault", "per_fault_and_workload", "per_fault_and_writer", "per_run", "per_workload"]

_FEW = 3


def per_fault_and_workload(oracle: str, plan: Plan, *, answers_for_faults: bool) -> Iterator[Cell | NotJudged]:
    """A cell for time without a fault and one for each fault, on each workload whose route contains a faulted link.

    `answers_for_faults`: operations that a fault cuts off from the driver do not count.
    """
    for workload in plan.workloads:
        yield Cell(oracle=oracle, workload=workload.name)
        for fault in plan.faults:
            yield _under_fault(oracle, plan, fault, workload, answers_for_faults=answers_for_faults)


def per_fault_and_writer(oracle: str, plan: Plan) -> Iterator[Cell | NotJudged]:
    """The same for effects: only operations that leave declared ones count, wherever the fault sits; and one cell for the run."""
    for workload in plan.workloads:
        writing = msgspec.structs.replace(workload, operations=tuple(one for one in workload.operations if one.effects))
        if writing.operations:
            yield Cell(oracle=oracle, workload=workload.name)
            for fault in plan.faults:
                yield _under_fault(oracle, plan, fault, writing, answers_for_faults=False)
        else:
            yield _no_effects(oracle, plan, workload)
    if plan.leaves_effects:
        yield Cell(oracle=oracle)


def _no_effects(oracle: str, plan: Plan, workload: WorkloadPlan) -> NotJudged:
    name, operation = workload.name, workload.operations[0].name
    declared = next((one.name for one in plan.ledger.effects), "")
    enable = f"workloads: {name}: operations: one that leaves effects (docs/scenarios.md says which do)"
    if plan.scenario.own is not None:
        first = "" if declared else "effects: {rows: {sql: select op_id from ...}}, and "
        enable = f"{first}workloads: {name}: operations: {operation}: effects: [{declared or 'rows'}]"
    return NotJudged(
        cell=Cell(oracle=oracle, workload=workload.name),
        reason=f"no operation of {workload.name} leaves effects that are declared",
        enable=enable,
    )


def per_fault(oracle: str, plan: Plan) -> Iterator[Cell | NotJudged]:
    """A cell for each fault."""
    return (Cell(oracle=oracle, fault=fault.name) for fault in plan.faults)


def per_workload(oracle: str, plan: Plan) -> Iterator[Cell | NotJudged]:
    """A cell for each workload."""
    return (Cell(oracle=oracle, workload=workload.name) for workload in plan.workloads)


def per_run(oracle: str, plan: Plan) -> Iterator[Cell | NotJudged]:
    """One cell, if there is any fault."""
    if plan.faults:
        yield Cell(oracle=oracle)


def _under_fault(
    oracle: str, plan: Plan, fault: FaultSpec, workload: WorkloadPlan, *, answers_for_faults: bool
) -> Cell | NotJudged:
    cell = Cell(oracle=oracle, fault=fault.name, workload=workload.name)
    links = {link.name: link for link in plan.links}
    touched = [one for one in workload.operations if set(one.route) & set(fault.links)]
    if not touched:
        return NotJudged(
            cell=cell,
            reason=f"no operation of {workload.name} uses {_names(fault.links)}",
            enable=f"timeline.faults: {fault.name}: on: {_names(sorted(_behind_driver(workload, links)))}",
        )
    if answers_for_faults and not any(_answerable(one, fault, links) for one in touched):
        shielding = [name for name in fault.links if name in workload.route]
        return NotJudged(
            cell=cell,
            reason=f"{_names(shielding)} is between the driver and the system: nobody behind it can answer for it",
            enable=f"timeline.faults: {fault.name}: on: {_names(sorted(_behind_driver(workload, links)))}",
        )
    return cell


def _answerable(operation: OperationKind, fault: FaultSpec, links: dict[str, Link]) -> bool:
    """True if nothing of the fault cuts the driver off from the system; a queue may wait for its consumer."""
    for name in set(operation.route) & set(fault.links):
        link = links[name]
        if shields_system(link, operation.route, links) and (link.caller == DRIVER or not operation.asynchronous):
            return False
    return True


def _behind_driver(workload: WorkloadPlan, links: dict[str, Link]) -> set[str]:
    return {
        name
        for one in workload.operations
        for name in one.route
        if name in links and not shields_system(links[name], one.route, links)
    }


def _names(names: Sequence[str]) -> str:
    if len(names) <= _FEW:
        return " or ".join(names)
    return f"{', '.join(names[:_FEW])} or {len(names) - _FEW} more"
