"""ok-means-ok: an ok answer meets the content that the workload declares; never an error or nothing under a success status."""

from __future__ import annotations

from collections.abc import Iterable

from chaos.model.operation import Operation
from chaos.model.plan import Plan
from chaos.model.verdict import Cell, CellVerdict, NotJudged
from chaos.oracles.algebra import HELD, Decision, Outcome
from chaos.oracles.case import Case
from chaos.oracles.concern import Concern
from chaos.oracles.oracle import Oracle
from chaos.oracles.population import judge_operations
from chaos.oracles.scope import per_fault_and_workload
from chaos.oracles.text import clip
from chaos.oracles.words import answer_text, meanwhile, speaker

__all__ = ["OK_MEANS_OK"]

_NAME = "ok-means-ok"
# An operation that was not answered ok claims nothing, so it cannot break this; it is counted in the cell's reason.
_NOT_OK = Decision(outcome=HELD.outcome, remark="not answered ok")


def _decide(case: Case, cell: Cell, operation: Operation, concerns: tuple[Concern, ...]) -> Decision:
    if not operation.ok:
        return _NOT_OK
    if not operation.unmet:
        return HELD
    first = operation.unmet[0]
    return Decision(
        outcome=Outcome.VIOLATED,
        error_class=first.check,
        cause=f"{speaker(case, operation)} {answer_text(operation.answer)}, but its content is wrong ({first.check})"
        f"{meanwhile(case, concerns, cell.fault)}",
        expected=first.expected,
        seen=first.seen,
        facts=tuple(f"{one.check}: expected {clip(one.expected)}; saw {clip(one.seen)}" for one in operation.unmet),
    )


def _judge(case: Case, cell: Cell) -> CellVerdict:
    return judge_operations(case, cell, _decide, answers_for_faults=False)


def _cells(plan: Plan) -> Iterable[Cell | NotJudged]:
    return per_fault_and_workload(_NAME, plan, answers_for_faults=False)


OK_MEANS_OK = Oracle(
    name=_NAME,
    summary="ok answers carry the declared content",
    timing=False,
    needs="content declarations for own workloads",
    cells=_cells,
    judge=_judge,
)
