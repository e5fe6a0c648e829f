"""What an operation owes to the stores, by how it ended, and what is wrong with what it left. Pure tables.

| end                                             | its completion  | its other effects              | together         |
|-------------------------------------------------|-----------------|--------------------------------|------------------|
| answered ok                                     | exactly one     | exactly one of each            | all              |
| accepted, completed with an error               | exactly one     | none or one; none if refused   | all or none      |
| accepted, no completion seen                    | exactly one     | none or one of each            | all or none      |
| refused, or never sent                          | none            | none                           |                  |
| unknown: an error, no answer                    | none or one     | none or one of each            | all or none      |

An operation without a completion (one that is answered at once) has other effects only; accepted all the same (a 202), it owes each of
them, once the work is done. Where others are stored, the completion must be: it is what tells of them. `at_least_once` allows more than one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from chaos.model.operation import AnswerKind, EffectState, Operation
from chaos.model.workload import OperationKind

__all__ = ["End", "Owed", "Wrong", "end_of", "find_wrong", "owed"]


class End(Enum):
    """How an operation that writes ended, as far as its effects are concerned."""

    APPLIED = "applied"
    COMPLETED = "completed with an error"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Owed:
    """`least` and `most` of each effect (None: any number), which ones go together, and the one that must be there if others are."""

    least: Mapping[str, int]
    most: Mapping[str, int | None]
    together: tuple[str, ...] = ()
    leader: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrong:
    """What is wrong: duplicated, lost, torn or refused-but-applied; the effects that are too many, or there, and those that are missing."""

    error_class: str
    present: tuple[str, ...] = field(default=())
    missing: tuple[str, ...] = field(default=())


def end_of(operation: Operation) -> End:
    """How it ended. A completion that is an error is an end like any other; the caller has seen it."""
    if operation.effect is EffectState.APPLIED:
        return End.APPLIED
    if operation.answer.kind is AnswerKind.ACCEPTED or (operation.ok and operation.accepted_ns):
        return End.ACCEPTED
    if operation.asynchronous and operation.answer.kind is AnswerKind.ERROR and operation.first_byte_ns:
        return End.COMPLETED
    return End.REFUSED if operation.effect is EffectState.NOT_APPLIED else End.UNKNOWN


def owed(operation: Operation, kind: OperationKind, at_least_once: Sequence[str] = ()) -> Owed:
    """The row of the table above. `at_least_once` are the effects of which more than one is right."""
    completion = kind.completion
    others = tuple(one for one in kind.effects if one != completion)
    most: dict[str, int | None] = {one: None if one in at_least_once else 1 for one in kind.effects}
    match end_of(operation):
        case End.APPLIED:
            return Owed(least=dict.fromkeys(kind.effects, 1), most=most)
        case End.ACCEPTED:
            accepted = kind.effects if completion is None else (completion,)
            return Owed(least=dict.fromkeys(accepted, 1), most=most, together=others)
        case End.COMPLETED:
            refused = operation.effect is EffectState.NOT_APPLIED
            limits = {**most, **dict.fromkeys(others, 0)} if refused else most
            return Owed(least={} if completion is None else {completion: 1}, most=limits, together=others)
        case End.REFUSED:
            return Owed(least={}, most=dict.fromkeys(kind.effects, 0))
        case End.UNKNOWN:
            return Owed(least={}, most=most, together=others, leader=completion)


def find_wrong(debt: Owed, found: Mapping[str, int | None]) -> Wrong | None:
    """What contradicts the debt in what was found; None counts are not known and contradict nothing.

    Too many come first: they are wrong whatever else is missing or not known.
    """
    too_many = tuple(one for one, count in found.items() if count is not None and _exceeds(count, debt.most[one]))
    if too_many:
        unasked = any(debt.most[one] == 0 for one in too_many)
        return Wrong(error_class="refused-but-applied" if unasked else "duplicated", present=too_many)
    present = tuple(one for one, count in found.items() if count)
    absent = tuple(one for one, count in found.items() if count == 0)
    missing = tuple(one for one in absent if debt.least.get(one) or _left_behind(one, debt, present))
    if not missing:
        return None
    return Wrong(error_class="torn" if present else "lost", present=present, missing=missing)


def _exceeds(count: int, most: int | None) -> bool:
    return most is not None and count > most


def _left_behind(effect: str, debt: Owed, present: Sequence[str]) -> bool:
    """Whether something that is there says that this one should be, too."""
    if effect in debt.together:
        return any(one in debt.together for one in present)
    return effect == debt.leader and bool(present)
