"""cause-kept: an error under a fault names the dependency that failed, and a class that the fault can produce."""

from __future__ import annotations

from collections.abc import Iterable

from chaos.model.operation import Answer, Operation
from chaos.model.plan import Plan
from chaos.model.verdict import Cell, CellVerdict, NotJudged
from chaos.oracles.algebra import ASIDE, HELD, Decision, Outcome, undecided
from chaos.oracles.case import Case, unanswered
from chaos.oracles.classes import CODE_STATUS, can_run_out, explained_statuses
from chaos.oracles.concern import Concern
from chaos.oracles.oracle import Oracle
from chaos.oracles.population import judge_operations
from chaos.oracles.scope import per_fault_and_workload
from chaos.oracles.words import answer_text, meanwhile, speaker

__all__ = ["CAUSE_KEPT"]

_NAME = "cause-kept"
_ON_THE_WAY = Decision(outcome=HELD.outcome, remark="timed out on the way and named that hop")
_GENERIC = frozenset({"internal", "internal_error", "error", "exception", "exceptiongroup", "unknown", "server_error"})


def _decide(case: Case, cell: Cell, operation: Operation, concerns: tuple[Concern, ...]) -> Decision:
    if operation.ok:
        return HELD
    if not concerns:
        return ASIDE  # it has no cause to keep: error-class judges it
    if unanswered(operation) or operation.answer.layer == "driver":
        return undecided("no answer of the system, so no cause in it")
    if _refused_on_purpose(case, operation):
        return HELD
    return _decide_error(case, cell, operation, concerns)


def _refused_on_purpose(case: Case, operation: Operation) -> bool:
    """A 4xx that the scenario declares for the operation is the operation's own refusal, not a fault's."""
    status = operation.answer.status
    return (
        status is not None
        and 400 <= status < 500
        and status in case.plan.scenario.expect.statuses.get(operation.name, ())
    )


def _decide_error(case: Case, cell: Cell, operation: Operation, concerns: tuple[Concern, ...]) -> Decision:
    answer = operation.answer
    named = [one for one in concerns if one.link in case.links and case.links[one.link].callee == answer.dependency]
    if named and _can_be(case, answer, named):
        return HELD
    timed_out = CODE_STATUS.get(answer.code or "") == 504
    if timed_out and not named and can_run_out(case, concerns):
        if answer.dependency is None and answer.code == "deadline_exceeded":
            return HELD
        if answer.dependency in _hops_before(case, operation, concerns):
            return _ON_THE_WAY
    callees = dict.fromkeys(case.links[one.link].callee for one in concerns if one.link in case.links)
    return Decision(
        outcome=Outcome.VIOLATED,
        error_class="wrong-class" if named else "wrong-dependency" if answer.dependency else "cause-lost",
        cause=f"{speaker(case, operation)} {answer_text(answer)}{meanwhile(case, concerns, cell.fault)}",
        expected=f"an error naming {' or '.join(callees)}, with a class that the fault can produce",
        seen=answer_text(answer),
        rests_on_time=timed_out,
    )


def _can_be(case: Case, answer: Answer, concerns: Iterable[Concern]) -> bool:
    """The code's own status (for codes not of the table: the answer's) is among those that the faults on that dependency explain."""
    code = (answer.code or "").lower()
    if code in _GENERIC:
        return False
    return CODE_STATUS.get(code, answer.status) in explained_statuses(case, concerns)


def _hops_before(case: Case, operation: Operation, concerns: Iterable[Concern]) -> set[str]:
    """Services on the way to a faulted link: whoever waits for one may lose patience before the one that waits for the fault.

    They name the hop that they did not hear, which is true, and as much as they can know.
    """
    callers = {case.links[one.link].caller for one in concerns if one.link in case.links}
    route = [case.links[name] for name in operation.route if name in case.links]
    while True:
        above = {link.caller for link in route if link.callee in callers} - callers
        if not above:
            return callers
        callers |= above


def _judge(case: Case, cell: Cell) -> CellVerdict:
    return judge_operations(case, cell, _decide, answers_for_faults=True)


def _cells(plan: Plan) -> Iterable[Cell | NotJudged]:
    return per_fault_and_workload(_NAME, plan, answers_for_faults=True)


CAUSE_KEPT = Oracle(
    name=_NAME,
    summary="errors name the dependency that failed",
    timing=False,
    needs="problem details (RFC 9457) with code and dependency",
    cells=_cells,
    judge=_judge,
)
