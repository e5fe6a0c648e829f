"""recovers: within T after healing, k probes in a row of each workload are right, and as quick as in the baseline.

Three outcomes are told apart: still failing (rests on answers, not on time), slow, recovered. Slow alone rests on time, and so do timeouts
between good answers: they violate if a second run shows them, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil
from statistics import median

from chaos.model.duration import format_ms
from chaos.model.event import PhaseName, ProbesFinished
from chaos.model.operation import Operation
from chaos.model.plan import Plan
from chaos.model.verdict import Cell, CellVerdict, NotJudged, Verdict
from chaos.oracles.algebra import Decision, Outcome, suspected, unknown
from chaos.oracles.case import Case
from chaos.oracles.concern import NS_PER_MS, until_ns
from chaos.oracles.findings import Violation, group
from chaos.oracles.oracle import Oracle
from chaos.oracles.scope import per_workload
from chaos.oracles.text import clip, counted
from chaos.oracles.waits import timed_out
from chaos.oracles.words import answer_text

__all__ = ["RECOVERS"]

_NAME = "recovers"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Recovery:
    """The probes of one workload in order, and what they are measured against."""

    probes: Sequence[Operation]
    finished: ProbesFinished
    healed_ns: int
    limits_ms: dict[str, float]
    k: int
    within_ms: float

    def right(self, probe: Operation) -> bool:
        return probe.ok and not probe.unmet

    def quick(self, probe: Operation) -> bool:
        limit_ms = self.limits_ms.get(probe.name)
        return limit_ms is None or (probe.latency_ms is not None and probe.latency_ms <= limit_ms)

    def after_ms(self, t_ns: int) -> float:
        return (t_ns - self.healed_ns) / NS_PER_MS


def _judge(case: Case, cell: Cell) -> CellVerdict:
    workload = cell.workload or ""
    finished = next((one for one in reversed(case.evidence.probes) if one.workload == workload), None)
    probes = sorted((one for one in case.evidence.operations if one.probe and one.workload == workload), key=_intended)
    if case.healed_ns is None:
        return unknown(cell, "no fault began, or none was seen to end: there is nothing to recover from")
    if finished is None or not probes:
        return unknown(
            cell, "no recovery probes were made" if finished is None else "the probes are not in the evidence"
        )
    recovery = case.plan.scenario.timeline.recovery
    run = _Recovery(
        probes=probes,
        finished=finished,
        healed_ns=case.healed_ns,
        limits_ms=_limits_ms(case, workload),
        k=recovery.probes,
        within_ms=recovery.within_ms,
    )
    return _judge_passed(case, cell, run) if finished.passed else _judge_failed(case, cell, run)


def _judge_passed(case: Case, cell: Cell, run: _Recovery) -> CellVerdict:
    last = run.probes[-run.k :]
    if len(last) < run.k or not all(run.right(one) for one in last):
        return unknown(cell, f"the driver reports {run.k} good probes in a row, the recorded ones do not show them")
    if run.after_ms(until_ns(last[0])) > run.within_ms + 1000 and run.after_ms(last[0].start_ns) > run.within_ms:
        return unknown(cell, "the good probes came later than T after healing")
    first_ok = min(
        (one.end_ns for one in case.evidence.operations if _ok_after(one, cell, run)), default=last[0].end_ns
    )
    reason = f"first ok {format_ms(run.after_ms(first_ok))} after healing, steady after {format_ms(run.after_ms(last[-1].end_ns))}"
    verdict = Verdict.UNKNOWN if case.clock_stepped else Verdict.HOLDS
    if case.clock_stepped:
        reason += f"; {case.clock_stepped}"
    if case.incomplete and verdict is Verdict.HOLDS:
        verdict, reason = Verdict.UNKNOWN, f"{reason}; {case.incomplete}"
    return CellVerdict(
        cell=cell, verdict=verdict, reason=reason, population=len(run.probes), decided=len(run.probes), required=run.k
    )


def _ok_after(operation: Operation, cell: Cell, run: _Recovery) -> bool:
    return operation.workload == cell.workload and operation.start_ns >= run.healed_ns and run.right(operation)


def _judge_failed(case: Case, cell: Cell, run: _Recovery) -> CellVerdict:
    failing = [one for one in _last_of_each_kind(run.probes) if not run.right(one)]
    if failing and not _on_and_off(case, run, failing):
        return _still_failing(case, cell, run, failing)
    slow = [one for one in run.probes if run.right(one) and not run.quick(one)]
    if failing or not slow:
        return _too_few(case, cell, run)
    if case.clock_stepped:
        return unknown(cell, f"slow, but {case.clock_stepped}")
    if _cut_short(case):
        return unknown(cell, "slow when the run was ended early")
    violations = [Violation(operation=one, decision=_slow(run, one)) for one in slow]
    return _suspected(case, cell, run, violations, f"right but slow: {_how_slow(run, slow[-1])}")


def _too_few(case: Case, cell: Cell, run: _Recovery) -> CellVerdict:
    failed = [one for one in run.probes if not run.right(one)]
    broken = next((text for one in failed if (text := case.broken_rig(one))), "")
    if broken:
        return unknown(cell, f"recovered late, but {broken}")
    if not failed or _cut_short(case):
        why = "the run was ended early" if _cut_short(case) else "more did not fit into T"
        return unknown(cell, f"{run.finished.in_a_row} of {run.k} probes in a row were right and quick; {why}")
    violations = [Violation(operation=one, decision=_failed(run, one, "failing until late")) for one in failed]
    if all(timed_out(case, one) for one in failed):
        return _suspected(case, cell, run, violations, f"recovered late, after {answer_text(failed[-1].answer)}")
    return _violated(case, cell, run, violations, "recovered too late")


def _still_failing(case: Case, cell: Cell, run: _Recovery, failing: Sequence[Operation]) -> CellVerdict:
    if _cut_short(case):
        return unknown(cell, "still failing when the run was ended early")
    broken = next((text for one in failing if (text := case.broken_rig(one))), "")
    if broken:
        return unknown(cell, f"still failing, but {broken}")
    if all(timed_out(case, one) and case.lag_ms(one.intended_ns, until_ns(one)) for one in failing):
        return unknown(cell, "still failing by timeouts, but the driver's loop stood still meanwhile")
    kinds = {one.name for one in failing}
    all_failed = [one for one in run.probes if one.name in kinds and not run.right(one)]
    violations = [Violation(operation=one, decision=_failed(run, one, "still failing")) for one in reversed(all_failed)]
    return _violated(case, cell, run, violations, f"still failing: {', '.join(sorted(kinds))}")


def _on_and_off(case: Case, run: _Recovery, failing: Sequence[Operation]) -> bool:
    """Whether what failed last had been right since healing, and only timed out: a quieter machine might have been in time."""
    right = {one.name for one in run.probes if run.right(one)}
    return all(one.name in right and timed_out(case, one) for one in failing)


def _violated(case: Case, cell: Cell, run: _Recovery, violations: Sequence[Violation], what: str) -> CellVerdict:
    return CellVerdict(
        cell=cell,
        verdict=Verdict.VIOLATED,
        reason=f"{what} {format_ms(run.within_ms)} after healing ({counted(len(run.probes), 'probe')}, {run.finished.in_a_row} good in a row)",
        population=len(run.probes),
        decided=len(run.probes),
        violated=len(violations),
        required=run.k,
        findings=group(case, cell, violations),
    )


def _suspected(case: Case, cell: Cell, run: _Recovery, violations: Sequence[Violation], what: str) -> CellVerdict:
    number = len(violations)
    judged = CellVerdict(
        cell=cell,
        verdict=Verdict.UNKNOWN,
        reason=what,
        population=len(run.probes),
        decided=len(run.probes) - number,
        undecided=number,
        suspected=number,
        required=run.k,
    )
    return suspected(judged, group(case, cell, violations))


def _slow(run: _Recovery, probe: Operation) -> Decision:
    limit = format_ms(run.limits_ms[probe.name])
    return Decision(
        outcome=Outcome.SUSPECTED,
        error_class="slow-recovery",
        cause=f"{probe.workload}.{probe.name} was right but slow until {format_ms(run.within_ms)} after healing",
        expected=f"{run.k} probes in a row right and within {limit} by {format_ms(run.within_ms)} after healing",
        seen=f"{answer_text(probe.answer)} after {format_ms(probe.latency_ms or 0.0)}",
        rests_on_time=True,
    )


def _failed(run: _Recovery, probe: Operation, how: str) -> Decision:
    content = f", its content wrong ({probe.unmet[0].check})" if probe.ok and probe.unmet else ""
    seen = f"{answer_text(probe.answer)}{content}"
    return Decision(
        outcome=Outcome.VIOLATED,
        error_class="still-failing" if how == "still failing" else "late-recovery",
        cause=f"{probe.workload}.{probe.name} was {how} {format_ms(run.within_ms)} after healing: {seen}",
        expected=f"{run.k} probes in a row right and quick within {format_ms(run.within_ms)} after healing",
        seen=seen,
        facts=tuple(f"{one.check}: expected {clip(one.expected)}; saw {clip(one.seen)}" for one in probe.unmet),
    )


def _how_slow(run: _Recovery, probe: Operation) -> str:
    took, limit = format_ms(probe.latency_ms or 0.0), format_ms(run.limits_ms[probe.name])
    return f"{probe.workload}.{probe.name} took {took}, baseline speed is up to {limit}"


def _limits_ms(case: Case, workload: str) -> dict[str, float]:
    """Baseline speed of each operation kind: p50 x factor, p50 + floor, or p99, the largest, from the baseline's own answers."""
    baseline = case.evidence.phase(PhaseName.BASELINE)
    if baseline is None:
        return {}
    taken: dict[str, list[float]] = {}
    for one in case.evidence.operations:
        inside = baseline.start_ns <= one.intended_ns and one.end_ns <= baseline.end_ns
        if one.workload == workload and one.ok and not one.probe and inside and one.latency_ms is not None:
            taken.setdefault(one.name, []).append(one.latency_ms)
    factor, floor_ms = case.settings.speed_factor, case.settings.speed_floor_ms
    return {
        name: max(factor * median(values), floor_ms + median(values), sorted(values)[ceil(0.99 * len(values)) - 1])
        for name, values in taken.items()
    }


def _last_of_each_kind(probes: Sequence[Operation]) -> Iterable[Operation]:
    return {one.name: one for one in probes}.values()


def _cut_short(case: Case) -> bool:
    return case.evidence.interrupted_by is not None or case.evidence.end_how != "complete"


def _intended(operation: Operation) -> int:
    return operation.intended_ns


def _cells(plan: Plan) -> Iterable[Cell | NotJudged]:
    return per_workload(_NAME, plan) if plan.faults else ()


RECOVERS = Oracle(
    name=_NAME,
    summary="right and quick again within T after healing",
    timing=True,
    needs="-",
    cells=_cells,
    judge=_judge,
)
