"""healed: the read-back after healing shows none of our faults. Only a read-back says so, and only it leads to exit code 6."""

from __future__ import annotations

from collections.abc import Iterable

from chaos.model.evidence import Evidence
from chaos.model.plan import Plan
from chaos.model.verdict import Cell, CellVerdict, Finding, NotJudged, Verdict
from chaos.oracles.algebra import unknown
from chaos.oracles.case import Case
from chaos.oracles.oracle import Oracle
from chaos.oracles.scope import per_run

__all__ = ["HEALED", "fault_may_remain"]

_NAME = "healed"
_NEXT = "`chaos-drill recover` removes what our leases name and proves it"


def fault_may_remain(evidence: Evidence) -> bool:
    """True for exit code 6: the last read-back showed a fault of ours or could not be had, or faults were armed and nobody looked.

    A missing read-back is forgiven where the proxy itself recorded the end of every fault, or where none was ever armed.
    """
    if not evidence.heals:
        return any(one.heal_ns is None for one in evidence.faults)
    last = evidence.heals[-1]
    return bool(last.remaining) or (last.error is not None and any(one.heal_ns is None for one in evidence.faults))


def _judge(case: Case, cell: Cell) -> CellVerdict:
    heals = case.evidence.heals
    if not heals:
        return unknown(cell, f"no read-back after healing; {_NEXT}")
    last = heals[-1]
    if last.remaining:
        return _violated(cell, last.remaining)
    if last.error is not None:
        return unknown(cell, f"{last.error}; {_NEXT}")
    return CellVerdict(cell=cell, verdict=Verdict.HOLDS, reason="read back: no fault of ours is left")


def _violated(cell: Cell, remaining: tuple[str, ...]) -> CellVerdict:
    findings = tuple(_finding(cell, one) for one in remaining)
    return CellVerdict(
        cell=cell,
        verdict=Verdict.VIOLATED,
        reason=f"still there: {', '.join(remaining)}",
        violated=len(remaining),
        findings=findings,
    )


def _finding(cell: Cell, text: str) -> Finding:
    fault, _, link = text.partition(" on ")
    return Finding(
        oracle=_NAME,
        cause=f"{text} was still there after healing",
        expected="no fault of ours in the read-back",
        seen=text,
        error_class="fault-remains",
        cell=cell.id,
        fault=fault,
        link=link or None,
        where=f"the proxy's log; {_NEXT}",
    )


def _cells(plan: Plan) -> Iterable[Cell | NotJudged]:
    return per_run(_NAME, plan)


HEALED = Oracle(
    name=_NAME,
    summary="read-back shows that every fault is gone",
    timing=False,
    needs="-",
    cells=_cells,
    judge=_judge,
)
