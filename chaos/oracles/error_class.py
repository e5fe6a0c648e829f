"""error-class: an answer that is not ok has a class that the faults around it explain, or that the scenario declares."""

from __future__ import annotations

from collections.abc import Iterable

from chaos.model.operation import Operation
from chaos.model.plan import Plan
from chaos.model.verdict import Cell, CellVerdict, NotJudged
from chaos.oracles.algebra import HELD, Decision, Outcome, undecided
from chaos.oracles.case import Case, unanswered
from chaos.oracles.classes import explained_statuses
from chaos.oracles.concern import Concern
from chaos.oracles.oracle import Oracle
from chaos.oracles.population import judge_operations
from chaos.oracles.scope import per_fault_and_workload
from chaos.oracles.waits import timed_out
from chaos.oracles.words import answer_text, meanwhile, speaker

__all__ = ["ERROR_CLASS"]

_NAME = "error-class"
_TOO_MANY = 429


def _decide(case: Case, cell: Cell, operation: Operation, concerns: tuple[Concern, ...]) -> Decision:
    if operation.ok:
        return HELD
    if unanswered(operation):
        return undecided("no answer, so no class")
    status = operation.answer.status
    declared = case.plan.scenario.expect.statuses.get(operation.name, ())
    explained = explained_statuses(case, concerns)
    at_driver = operation.answer.layer == "driver"
    if not at_driver and (status in declared or status in explained):
        return _kept_pause(case, cell, operation, concerns)
    allowed = explained.union(declared)
    return Decision(
        outcome=Outcome.VIOLATED,
        error_class=_class(operation, concerns),
        cause=f"{_sentence(case, operation)}{meanwhile(case, concerns, cell.fault)}",
        expected=f"ok, or {', '.join(map(str, sorted(allowed)))}"
        if allowed
        else "ok: no fault concerns this operation",
        seen=answer_text(operation.answer),
        rests_on_time=timed_out(case, operation),
    )


def _sentence(case: Case, operation: Operation) -> str:
    if operation.answer.layer == "driver":
        front = speaker(case, operation).split()[0]
        name = "the connection" if front == "over" else front
        return f"{name} gave no answer but {operation.answer.code or 'a failure'}"
    return f"{speaker(case, operation)} {answer_text(operation.answer)}"


def _class(operation: Operation, concerns: tuple[Concern, ...]) -> str:
    """What is wrong, in one word: the finding's class."""
    if not concerns:
        return "fault-without-cause"
    if operation.answer.layer == "driver":
        return operation.answer.code or "no-answer"
    status = operation.answer.status
    if status is None:
        return "no-class"
    if status == 500:
        return "generic-500"
    return "wrong-blame" if 400 <= status < 500 else f"unexplained-{status}"


def _kept_pause(case: Case, cell: Cell, operation: Operation, concerns: tuple[Concern, ...]) -> Decision:
    """A 429 keeps the Retry-After of the dependency that sent it: known where the wire shows one in the operation's trace."""
    if operation.answer.status != _TOO_MANY or operation.answer.retry_after_s is not None:
        return HELD
    sent = next((one for one in case.story(operation) if one.status == "429" and one.retry_after_s is not None), None)
    if sent is None or sent.link in operation.route[:1]:
        return HELD
    return Decision(
        outcome=Outcome.VIOLATED,
        error_class="retry-after-lost",
        cause=f"{speaker(case, operation)} 429 without the Retry-After of {sent.link}{meanwhile(case, concerns, cell.fault)}",
        expected=f"429 with Retry-After: {sent.retry_after_s:g}",
        seen=answer_text(operation.answer),
        link=sent.link,
    )


def _judge(case: Case, cell: Cell) -> CellVerdict:
    return judge_operations(case, cell, _decide, answers_for_faults=True)


def _cells(plan: Plan) -> Iterable[Cell | NotJudged]:
    return per_fault_and_workload(_NAME, plan, answers_for_faults=True)


ERROR_CLASS = Oracle(
    name=_NAME,
    summary="errors have a class that the fault explains",
    timing=False,
    needs="declared statuses for what an operation refuses on purpose",
    cells=_cells,
    judge=_judge,
)
