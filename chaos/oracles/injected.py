"""injected: the fault provably acted on every link it was meant for; without that nothing it was to test can hold."""

from __future__ import annotations

from collections.abc import Iterable

from chaos.model.plan import Plan
from chaos.model.verdict import Cell, CellVerdict, NotJudged, Verdict
from chaos.oracles.algebra import unknown
from chaos.oracles.case import Case
from chaos.oracles.oracle import Oracle
from chaos.oracles.scope import per_fault

__all__ = ["INJECTED"]

_NAME = "injected"


def _judge(case: Case, cell: Cell) -> CellVerdict:
    fault = case.plan.fault(cell.fault or "")
    proofs = {link: case.proofs[fault.name, link] for link in fault.links}
    missing = {link: one.text for link, one in proofs.items() if not one.proven}
    if missing:
        lost = "; records of the wire log were lost" if case.wire_lost else ""
        return unknown(cell, "; ".join(f"{link}: {text}" for link, text in missing.items()) + lost)
    hit = sum(case.concerns.hits.get((fault.name, link), 0) for link in fault.links)
    return CellVerdict(
        cell=cell,
        verdict=Verdict.HOLDS,
        reason="; ".join(f"{link}: {one.text}" for link, one in proofs.items()),
        population=hit,
        decided=hit,
    )


def _cells(plan: Plan) -> Iterable[Cell | NotJudged]:
    return per_fault(_NAME, plan)


INJECTED = Oracle(
    name=_NAME,
    summary="the fault really acted on traffic",
    timing=False,
    needs="traffic on the faulted link",
    cells=_cells,
    judge=_judge,
)
