"""Effects that belong to no operation which should have left them: judged for the run as a whole, as no workload answers for them.

Op ids are a function of run, workload and index. An effect of an operation that was started and never recorded (the driver crashed, the
run was ended) is therefore known as ours, and nothing is said about it, unless it is there twice. The same goes for what was stored
before the load. Everything else is a phantom.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from chaos.model.effect import StoredEffect
from chaos.model.op_ids import SEED_WORKLOAD, origin_of
from chaos.model.operation import Operation
from chaos.model.system import LOCAL
from chaos.model.verdict import Cell, CellVerdict, Finding, Verdict
from chaos.oracles.algebra import unknown
from chaos.oracles.case import Case
from chaos.oracles.text import clip, counted

__all__ = ["judge_strangers"]

_Groups = dict[tuple[str, str], list[StoredEffect]]
_MOST_EVIDENCE = 5


def judge_strangers(case: Case, cell: Cell) -> CellVerdict:
    """The verdict on all effects that no recorded operation owes."""
    stored = case.stored
    findings = tuple(_findings(case, cell))
    strangers = sum(one.count for one in findings)
    if findings:
        return CellVerdict(
            cell=cell,
            verdict=Verdict.VIOLATED,
            reason=f"{counted(strangers, 'effect')} that no operation should have left",
            population=len(stored),
            decided=len(stored),
            violated=strangers,
            findings=findings,
        )
    if stored.unsure:
        return unknown(cell, stored.unsure)
    if not len(stored):
        return unknown(cell, "the stores hold nothing of this run")
    return CellVerdict(
        cell=cell,
        verdict=Verdict.HOLDS,
        reason=f"every effect is of {counted(len(stored), 'operation')} of this run",
        population=len(stored),
        decided=len(stored),
    )


def _findings(case: Case, cell: Cell) -> Iterator[Finding]:
    by_id = {one.op_id: one for one in case.evidence.operations}
    workloads = (*(one.name for one in case.plan.workloads), SEED_WORKLOAD)
    undeclared: _Groups = {}
    duplicated: _Groups = {}
    phantoms: _Groups = {}
    for op_id, effects in case.stored:
        operation = by_id.get(op_id)
        if operation is not None:
            _undeclared(case, operation, effects, undeclared)
        elif origin_of(op_id, case.evidence.run_id, workloads):
            _twice(case, effects, duplicated)
        else:
            for name, one in effects.items():
                if not _older_than_the_run(case, name):
                    phantoms.setdefault((name, ""), []).append(one)
    for (effect, operation_name), many in undeclared.items():
        yield _undeclared_finding(case, cell, effect, operation_name, many, by_id[many[0].op_id])
    for (effect, _), many in duplicated.items():
        yield _twice_finding(case, cell, effect, many)
    for (effect, _), many in phantoms.items():
        yield _phantom_finding(case, cell, effect, many)


def _older_than_the_run(case: Case, effect: str) -> bool:
    """Whether the effect's store was there before the run: what others left in it is nobody's phantom."""
    own, kind = case.plan.scenario.own, case.stored.kinds.get(effect)
    return own is not None and kind is not None and own.stores.get(kind.store, LOCAL) != LOCAL


def _undeclared(case: Case, operation: Operation, effects: Mapping[str, StoredEffect], into: _Groups) -> None:
    kind = case.kind_of(operation)
    for name, one in effects.items():
        if kind is not None and name not in kind.effects:
            into.setdefault((name, operation.name), []).append(one)


def _twice(case: Case, effects: Mapping[str, StoredEffect], into: _Groups) -> None:
    for name, one in effects.items():
        kind = case.stored.kinds.get(name)
        if one.count > 1 and kind is not None and not kind.at_least_once:
            into.setdefault((name, ""), []).append(one)


def _undeclared_finding(
    case: Case, cell: Cell, effect: str, signature: str, many: Sequence[StoredEffect], first: Operation
) -> Finding:
    return _finding(
        case,
        cell,
        effect,
        many,
        error_class="phantom",
        cause=f"{first.workload}.{signature} left a {case.stored.about(effect)}, which it should not",
        expected=f"no {case.stored.about(effect)} of {signature}",
        signature=signature,
        first=first,
    )


def _twice_finding(case: Case, cell: Cell, effect: str, many: Sequence[StoredEffect]) -> Finding:
    about = case.stored.about(effect)
    return _finding(
        case,
        cell,
        effect,
        many,
        error_class="duplicated",
        cause=f"an operation that the driver did not record left {counted(many[0].count, about)}",
        expected=f"none or one {about}",
    )


def _phantom_finding(case: Case, cell: Cell, effect: str, many: Sequence[StoredEffect]) -> Finding:
    about, named = case.stored.about(effect), clip(many[0].op_id, 40)
    whose = f"names {named}, which is no operation of this run" if named else "names no operation"
    return _finding(
        case,
        cell,
        effect,
        many,
        error_class="phantom",
        cause=f"a {about} {whose}",
        expected=f"every {about} is of an operation of this run",
    )


def _finding(
    case: Case,
    cell: Cell,
    effect: str,
    many: Sequence[StoredEffect],
    *,
    error_class: str,
    cause: str,
    expected: str,
    signature: str = "",
    first: Operation | None = None,
) -> Finding:
    return Finding(
        oracle=cell.oracle,
        cause=cause,
        expected=expected,
        seen=counted(sum(one.count for one in many), case.stored.about(effect)),
        error_class=error_class,
        cell=cell.id,
        workload=first.workload if first else None,
        signature=signature or effect,
        operation=many[0].op_id or None,
        trace_id=(first.trace_id or None) if first else None,
        where=f"{case.stored.keeper(effect)}, {case.stored.about(effect)}s",
        evidence=tuple(_place(one) for one in many[:_MOST_EVIDENCE]),
        count=len(many),
    )


def _place(one: StoredEffect) -> str:
    where = f" ({', '.join(one.places)})" if one.places else ""
    return f"{clip(one.op_id, 60) or 'no op id'}: {one.count}{where}"
