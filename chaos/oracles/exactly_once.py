"""exactly-once: what was acknowledged is in the stores once, what was refused is not, and nothing is there by half or twice.

Judged on what the ledger read back when the stores were at rest; the table of what each end owes stands in `owed`. What cannot be known
(not read, not at rest, no longer there) is undecided; two are two all the same. It does not rest on time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from chaos.model.operation import Operation
from chaos.model.plan import Plan
from chaos.model.verdict import Cell, CellVerdict, NotJudged
from chaos.model.workload import OperationKind
from chaos.oracles.algebra import ASIDE, HELD, Decision, Outcome, undecided
from chaos.oracles.case import Case
from chaos.oracles.concern import Concern, until_ns
from chaos.oracles.oracle import Oracle
from chaos.oracles.owed import End, Owed, Wrong, end_of, find_wrong, owed
from chaos.oracles.population import judge_operations
from chaos.oracles.scope import per_fault_and_writer
from chaos.oracles.strangers import judge_strangers
from chaos.oracles.text import counted, listed
from chaos.oracles.words import answer_text, meanwhile, speaker

__all__ = ["EXACTLY_ONCE"]

_NAME = "exactly-once"
_NOT_OK = Decision(outcome=Outcome.HELD, remark="not answered ok")


def _decide(case: Case, cell: Cell, operation: Operation, concerns: tuple[Concern, ...]) -> Decision:
    kind = case.kind_of(operation)
    if kind is None or not kind.effects:
        return ASIDE
    stored = case.stored
    several = [one for one in kind.effects if one in stored.kinds and stored.kinds[one].at_least_once]
    debt = owed(operation, kind, several)
    found = {one: stored.count(operation.op_id, one) for one in kind.effects}
    yet = "" if all(found.values()) else _may_come(case, operation, kind)
    wrong = find_wrong(debt, {one: count or None for one, count in found.items()} if yet else found)
    if wrong is not None:
        return _violated(case, cell, operation, concerns, debt, wrong)
    doubt = next(filter(None, map(stored.doubt, kind.effects)), "") or yet
    if doubt:
        return undecided(doubt)
    return HELD if operation.ok else _NOT_OK


def _may_come(case: Case, operation: Operation, kind: OperationKind) -> str:
    """Why what is missing of this operation may come all the same, although the stores were at rest; empty if it does not."""
    if end_of(operation) is End.ACCEPTED and kind.completion is None and not case.plan.ledger.unfinished:
        return "accepted (202), and nothing tells when such work is done: a query under unfinished would"
    if case.stored.seen_ns < until_ns(operation):
        return "it ended after the stores were read back"
    return ""


def _violated(
    case: Case, cell: Cell, operation: Operation, concerns: tuple[Concern, ...], debt: Owed, wrong: Wrong
) -> Decision:
    told = meanwhile(case, concerns, cell.fault)
    return Decision(
        outcome=Outcome.VIOLATED,
        error_class=wrong.error_class,
        cause=f"{_subject(case, operation)} {_what(case, operation, wrong)}{told}",
        expected=_expected(case, debt),
        seen=_seen(case, operation, tuple(debt.most)),
        facts=tuple(_facts(case, operation)),
    )


def _subject(case: Case, operation: Operation) -> str:
    name = f"{operation.workload}.{operation.name}"
    match end_of(operation):
        case End.APPLIED | End.REFUSED:
            return f"{speaker(case, operation)} {answer_text(operation.answer)}, but {name}"
        case End.COMPLETED:
            return f"{name} was completed with {answer_text(operation.answer)}, and"
        case End.ACCEPTED:
            return f"{name} was accepted, and"
        case End.UNKNOWN:
            return f"{name} ({answer_text(operation.answer)})"


def _what(case: Case, operation: Operation, wrong: Wrong) -> str:
    there = listed(_several(case, operation, wrong.present))
    missing = listed([f"no {case.stored.about(one)}" for one in wrong.missing])
    return f"left {there} but {missing}" if there and missing else f"left {there or missing}"


def _several(case: Case, operation: Operation, effects: Sequence[str]) -> list[str]:
    return [counted(case.stored.count(operation.op_id, one) or 0, case.stored.about(one)) for one in effects]


def _expected(case: Case, debt: Owed) -> str:
    """The debt in words: `one result message; task row and memory row once each, or none of them`."""
    about = case.stored.about
    parts = []
    for effect, most in debt.most.items():
        if most == 0:
            parts.append(f"no {about(effect)}")
        elif debt.least.get(effect):
            parts.append(f"one {about(effect)}" if most else f"at least one {about(effect)}")
        elif effect == debt.leader or len(debt.together) < 2:
            parts.append(f"none or one {about(effect)}" if most else f"any number of {about(effect)}s")
    texts = [", ".join(parts)] if parts else []
    if len(debt.together) > 1 and debt.most[debt.together[0]] != 0:
        texts.append(f"{listed(map(about, debt.together))} once each, or none of them")
    return "; ".join(texts)


def _seen(case: Case, operation: Operation, effects: Sequence[str]) -> str:
    """`2 task rows and 1 memory row in postgres, 1 result message in nats`; what is not known is left out."""
    known = [one for one in effects if case.stored.count(operation.op_id, one) is not None]
    stores = {
        case.stored.keeper(one): [each for each in known if case.stored.keeper(each) == case.stored.keeper(one)]
        for one in known
    }
    return ", ".join(f"{listed(_several(case, operation, of))} in {store}" for store, of in stores.items())


def _facts(case: Case, operation: Operation) -> Iterable[str]:
    """Where the stores hold what they hold."""
    for name, one in case.stored.of(operation.op_id).items():
        where = f" ({', '.join(one.places)})" if one.places else ""
        yield f"{case.stored.keeper(name)} holds {counted(one.count, case.stored.about(name))}{where}"


def _judge(case: Case, cell: Cell) -> CellVerdict:
    if cell.workload is None:
        return judge_strangers(case, cell)
    return judge_operations(case, cell, _decide, answers_for_faults=False)


def _cells(plan: Plan) -> Iterable[Cell | NotJudged]:
    return per_fault_and_writer(_NAME, plan)


EXACTLY_ONCE = Oracle(
    name=_NAME,
    summary="stored once, not lost, not twice, not by half",
    timing=False,
    needs="effects of own operations",
    cells=_cells,
    judge=_judge,
)
