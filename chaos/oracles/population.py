"""Judging a cell operation by operation: what is common to all oracles that do so."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable

import msgspec

from chaos.model.operation import Operation
from chaos.model.verdict import Cell, CellVerdict, Verdict
from chaos.oracles.algebra import ASIDE, Counts, Decision, Outcome, add_up, undecided
from chaos.oracles.between import DRIVER
from chaos.oracles.case import Case, unanswered
from chaos.oracles.concern import NS_PER_MS, Concern, until_ns
from chaos.oracles.findings import Violation, group

__all__ = ["Decide", "judge_apart", "judge_operations"]

# Counted in the cell's reason, but no part of it: other oracles own these times.
_RECOVERING = Decision(outcome=Outcome.ASIDE, remark="failed on the way to recovery")
_WARMING_UP = Decision(outcome=Outcome.ASIDE, remark="late before the system was steady")

Decide = Callable[[Case, Cell, Operation, tuple[Concern, ...]], Decision]


def judge_operations(
    case: Case, cell: Cell, decide: Decide, *, answers_for_faults: bool, timing: bool = False
) -> CellVerdict:
    """The cell's verdict from a decision on each of its operations.

    `answers_for_faults`: the oracle asks how the system answers for a fault, which it cannot where the fault sits between the driver
    and the system. `timing`: it rests on time.
    """
    judged = _Judged()
    for index, operation, concerns in case.members(cell.fault, cell.workload or ""):
        decision = _decide(case, cell, index, operation, concerns, decide, answers_for_faults=answers_for_faults)
        if timing and case.clock_stepped and decision.outcome is not Outcome.ASIDE:
            decision = undecided(case.clock_stepped)
        judged.take(cell, operation, concerns, decision)
    return _without_gaps(case, judged.verdict(case, cell))


def judge_apart(case: Case, cell: Cell, decide: Decide) -> CellVerdict:
    """The verdict on operations that the cell's fault does not concern, nor any other: `decide` rests on time."""
    judged = _Judged()
    unproven = _why_unproven(case, cell)
    for index in case.bystanders.get((cell.fault or "", cell.workload or ""), ()):
        operation = case.evidence.operations[index]
        decision = decide(case, cell, operation, ())
        if decision.outcome is Outcome.HELD and unproven:
            decision = undecided(unproven)
        if decision.outcome is Outcome.VIOLATED:
            decision = _excuse(case, index, operation, (), decision) or _on_time(operation, decision)
        if case.clock_stepped:
            decision = undecided(case.clock_stepped)
        judged.take(cell, operation, (), decision)
    return _without_gaps(case, judged.verdict(case, cell))


def _why_unproven(case: Case, cell: Cell) -> str:
    """What is missing for a proof that the fault acted anywhere; empty if it did."""
    proofs = [one for (fault, _), one in case.proofs.items() if fault == cell.fault]
    if any(one.proven for one in proofs):
        return ""
    return f"{cell.fault} is not proven: {proofs[0].text if proofs else 'it is not in the plan'}"


class _Judged:
    """Decisions so far, counted."""

    def __init__(self) -> None:
        self._outcomes: Counter[Outcome] = Counter()
        self._reasons: Counter[str] = Counter()
        self._remarks: Counter[str] = Counter()
        self._violations: list[Violation] = []
        self._suspicions: list[Violation] = []
        self._hit = 0
        self._masked = 0

    def take(self, cell: Cell, operation: Operation, concerns: tuple[Concern, ...], decision: Decision) -> None:
        self._outcomes[decision.outcome] += 1
        if decision.remark:
            self._remarks[decision.remark] += 1
        if decision.outcome is Outcome.ASIDE:
            return
        if decision.outcome is Outcome.UNDECIDED:
            self._reasons[decision.reason] += 1
        elif decision.outcome is Outcome.VIOLATED:
            self._violations.append(Violation(operation=operation, decision=decision, concerns=concerns))
        elif decision.outcome is Outcome.SUSPECTED:
            self._suspicions.append(Violation(operation=operation, decision=decision, concerns=concerns))
        if concerns and any(one.hit and one.fault == cell.fault for one in concerns):
            self._hit += 1
            self._masked += operation.ok

    def verdict(self, case: Case, cell: Cell) -> CellVerdict:
        counts = Counts(
            held=self._outcomes[Outcome.HELD],
            violated=self._outcomes[Outcome.VIOLATED],
            undecided=self._outcomes[Outcome.UNDECIDED],
            suspected=self._outcomes[Outcome.SUSPECTED],
            hit=self._hit,
            masked=self._masked,
        )
        return add_up(
            cell,
            counts,
            settings=case.settings,
            at_most=case.faults[cell.fault].at_most if cell.fault in case.faults else None,
            findings=group(case, cell, self._violations),
            suspicions=group(case, cell, self._suspicions),
            why_empty="; ".join(
                dict.fromkeys(
                    one.text for (fault, _), one in case.proofs.items() if fault == cell.fault and not one.proven
                )
            ),
            why_undecided=self._reasons.most_common(1)[0][0] if self._reasons else "",
            remarks=", ".join(f"{count} {remark}" for remark, count in self._remarks.most_common()),
        )


def _decide(
    case: Case,
    cell: Cell,
    index: int,
    operation: Operation,
    concerns: tuple[Concern, ...],
    decide: Decide,
    *,
    answers_for_faults: bool,
) -> Decision:
    decision = decide(case, cell, operation, concerns)
    if answers_for_faults and concerns and _unreachable(case, operation, concerns, cell.fault, decision):
        return ASIDE
    if decision.outcome is Outcome.HELD:
        return (
            decision
            if cell.fault is None or _proven(case, cell.fault, concerns)
            else _unproven(case, cell.fault, concerns)
        )
    if answers_for_faults and cell.fault is None and case.recovering(operation):
        return _RECOVERING
    if decision.rests_on_time and (early := _before_steady(case, operation)):
        return early
    if decision.outcome is Outcome.VIOLATED:
        excuse = _excuse(case, index, operation, concerns, decision) if answers_for_faults else None
        return excuse or _on_time(operation, decision)
    return decision


def _on_time(operation: Operation, decision: Decision) -> Decision:
    """A service's own timeout fires sooner on a slow machine, and answers come later: as with every clock, a second run has the word."""
    if decision.rests_on_time and not unanswered(operation):
        return dataclasses.replace(decision, outcome=Outcome.SUSPECTED)
    return decision


def _unreachable(
    case: Case, operation: Operation, concerns: tuple[Concern, ...], fault: str | None, decision: Decision
) -> bool:
    """The cell's fault sits between driver and system for this operation: it is not judged there.

    A queue waits for its consumer, so queued work may well be completed in time; only its failure proves nothing, unless there was
    time left after the fault.
    """
    for one in concerns:
        if one.fault == fault and _shields(case, operation, one):
            queued = operation.asynchronous and case.links[one.link].caller != DRIVER
            if not queued or decision.outcome is not Outcome.HELD:
                return True
    return False


def _shields(case: Case, operation: Operation, concern: Concern) -> bool:
    if not case.shields(concern.link, operation.route):
        return False
    from_driver = case.links[concern.link].caller == DRIVER
    return from_driver or not (operation.asynchronous and _had_time(case, operation, concern))


def _had_time(case: Case, operation: Operation, concern: Concern) -> bool:
    """A quarter of D left after heal + settle is time enough for a consumer that came back."""
    last_ns = operation.start_ns + int(0.75 * operation.deadline_ms * NS_PER_MS)
    ends = [one.end_ns for one in case.concerns.windows if (one.fault, one.link) == (concern.fault, concern.link)]
    return max(ends, default=0) <= last_ns


def _proven(case: Case, fault: str, concerns: tuple[Concern, ...]) -> bool:
    for one in concerns:
        proof = case.proofs.get((fault, one.link)) if one.fault == fault else None
        if proof is not None and proof.proven:
            return True
    return False


def _unproven(case: Case, fault: str, concerns: tuple[Concern, ...]) -> Decision:
    link = next(one.link for one in concerns if one.fault == fault)
    proof = case.proofs.get((fault, link))
    return undecided(f"{fault} is not proven on {link}: {proof.text if proof else 'it is not in the plan'}")


def _excuse(
    case: Case, index: int, operation: Operation, concerns: tuple[Concern, ...], decision: Decision
) -> Decision | None:
    """Why a violation must not be blamed on the system, or None. An ok answer whose content is wrong has no excuse."""
    broken = case.broken_rig(operation)
    if broken:
        return undecided(broken)
    if any(_shields(case, operation, one) for one in concerns):
        return undecided("another fault sat between the driver and the system")
    if not concerns and (excuse := _excuse_clear(case, index, operation, decision)):
        return excuse
    return None


def _before_steady(case: Case, operation: Operation) -> Decision | None:
    """What rests on time says nothing of a system that was not steady yet, and nothing of one that cannot keep up."""
    if case.steady_from_ns is None:
        return undecided("the system never was steady, with no fault")
    return _WARMING_UP if operation.start_ns < case.steady_from_ns else None


def _excuse_clear(case: Case, index: int, operation: Operation, decision: Decision) -> Decision | None:
    early = _before_steady(case, operation)
    if early and (decision.rests_on_time or case.steady_from_ns is None):
        return early
    if index in case.concerns.doubtful:
        return undecided("a fault on its route was armed, but never seen to begin")
    if case.wire_lost and any(one.overlaps(operation.start_ns, until_ns(operation)) for one in case.concerns.windows):
        return undecided("records of the wire log were lost: a fault may have hit it")
    return None


def _without_gaps(case: Case, verdict: CellVerdict) -> CellVerdict:
    """HOLDS is not claimed where operations are missing: one of those may have violated."""
    if verdict.verdict is Verdict.HOLDS and case.incomplete:
        return msgspec.structs.replace(verdict, verdict=Verdict.UNKNOWN, reason=f"{verdict.reason}; {case.incomplete}")
    return verdict
