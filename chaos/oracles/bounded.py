"""bounded: every operation is answered by D + max(100 ms, 0.1 D), counted from its actual start.

The system gets D as its budget when the operation starts; a start that came late is the driver's. Asynchronous work is answered by its
completion. The driver waits until D + max(2 s, D): an answer that is missing by then was not given, whatever the machine's speed, and that violates.
An answer that came, but late, rests on time: it violates if a second run shows it, too.
"""

from __future__ import annotations

from collections.abc import Iterable

from chaos.model.duration import format_ms
from chaos.model.operation import AnswerKind, Operation
from chaos.model.plan import Plan
from chaos.model.verdict import Cell, CellVerdict, NotJudged
from chaos.oracles.algebra import HELD, Decision, Outcome, undecided
from chaos.oracles.case import Case, unanswered
from chaos.oracles.concern import NS_PER_MS, Concern, wait_ms
from chaos.oracles.oracle import Oracle
from chaos.oracles.population import judge_operations
from chaos.oracles.scope import per_fault_and_workload
from chaos.oracles.waits import bound_ms, stood_still
from chaos.oracles.words import answer_text, meanwhile, speaker

__all__ = ["BOUNDED"]

_NAME = "bounded"


def _decide(case: Case, cell: Cell, operation: Operation, concerns: tuple[Concern, ...]) -> Decision:
    limit_ms = bound_ms(case, operation)
    if unanswered(operation):
        return _decide_unanswered(case, cell, operation, concerns, limit_ms)
    took_ms = (operation.end_ns - operation.start_ns) / NS_PER_MS
    if took_ms <= limit_ms:
        return HELD
    if case.lags and case.lag_ms(operation.start_ns, operation.end_ns):
        return undecided("the driver's loop stood still meanwhile")
    return _violated(
        operation,
        limit_ms,
        error_class="late",
        cause=f"{_whose(case, operation)} too late (D is {format_ms(operation.deadline_ms)}){meanwhile(case, concerns, cell.fault)}",
        seen=f"{answer_text(operation.answer)} after {format_ms(took_ms)}",
    )


def _decide_unanswered(
    case: Case, cell: Cell, operation: Operation, concerns: tuple[Concern, ...], limit_ms: float
) -> Decision:
    if not case.watched(operation, limit_ms):
        return undecided("in flight when the run was ended")
    lagged = stood_still(case, operation)
    if lagged is not None:
        return lagged
    accepted = operation.answer.kind is AnswerKind.ACCEPTED
    what = "was accepted and never completed" if accepted else "got no answer"
    return _violated(
        operation,
        limit_ms,
        error_class="never-completed" if accepted else "no-answer",
        cause=f"{operation.workload}.{operation.name} {what} (D is {format_ms(operation.deadline_ms)})"
        f"{meanwhile(case, concerns, cell.fault)}",
        seen=f"{answer_text(operation.answer)} within {format_ms(wait_ms(operation))}",
    )


def _whose(case: Case, operation: Operation) -> str:
    if operation.asynchronous:
        return f"{operation.workload}.{operation.name} completed with {answer_text(operation.answer)}"
    return f"{speaker(case, operation)} {answer_text(operation.answer)}"


def _violated(operation: Operation, limit_ms: float, *, error_class: str, cause: str, seen: str) -> Decision:
    what = "a completion" if operation.asynchronous else "an answer"
    slack_ms = limit_ms - operation.deadline_ms
    return Decision(
        outcome=Outcome.VIOLATED,
        rests_on_time=True,
        error_class=error_class,
        cause=cause,
        expected=f"{what} by D + {format_ms(slack_ms)} = {format_ms(limit_ms)}",
        seen=seen,
    )


def _judge(case: Case, cell: Cell) -> CellVerdict:
    return judge_operations(case, cell, _decide, answers_for_faults=True, timing=True)


def _cells(plan: Plan) -> Iterable[Cell | NotJudged]:
    return per_fault_and_workload(_NAME, plan, answers_for_faults=True)


BOUNDED = Oracle(
    name=_NAME,
    summary="answered by D + max(100 ms, 0.1 D)",
    timing=True,
    needs="-",
    cells=_cells,
    judge=_judge,
)
