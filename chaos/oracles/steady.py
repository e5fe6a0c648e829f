"""steady: the baseline was steady, and each phase keeps the limits that the scenario declares for it.

Latency is timed from the intended start. A start that was late or dropped is a result too: too many make the phase UNKNOWN.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import ceil, inf

from chaos.model.duration import format_ms
from chaos.model.event import PhaseName
from chaos.model.evidence import PhaseSpan
from chaos.model.operation import Operation
from chaos.model.plan import Plan
from chaos.model.settings import PhaseLimits
from chaos.model.verdict import Cell, CellVerdict, Finding, NotJudged, Verdict
from chaos.oracles.algebra import required_operations, roll_up, suspected, unknown
from chaos.oracles.case import Case
from chaos.oracles.concern import NS_PER_MS, until_ns
from chaos.oracles.oracle import Oracle
from chaos.oracles.scope import per_workload
from chaos.oracles.text import counted

__all__ = ["STEADY"]

_NAME = "steady"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Result:
    """What became of one phase. Findings of an UNKNOWN one rest on time."""

    verdict: Verdict
    text: str
    findings: tuple[Finding, ...] = ()
    population: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Limit:
    """One bound of a phase: its name, the bound, the value measured, whether it rests on time, how to write it."""

    name: str
    bound: float
    value: float
    kept: bool
    rests_on_time: bool
    write: Callable[[float], str]


def _judge(case: Case, cell: Cell) -> CellVerdict:
    baseline = case.evidence.baseline
    if baseline is None:
        return unknown(cell, "the baseline never ended")
    if not baseline.steady:
        return unknown(cell, f"the baseline was not steady: {baseline.reason}")
    asked = case.plan.scenario.expect.phases
    results = [_judge_phase(case, cell, PhaseName.BASELINE, asked.get("baseline", PhaseLimits()))]
    results += [
        _judge_phase(case, cell, PhaseName(name), limits) for name, limits in asked.items() if name != "baseline"
    ]
    population = sum(one.population for one in results)
    verdict = roll_up(one.verdict for one in results)
    if verdict is Verdict.HOLDS and case.incomplete:
        return unknown(cell, case.incomplete)
    of = [one for one in results if one.verdict is verdict]
    findings = tuple(finding for one in of for finding in one.findings)
    judged = CellVerdict(
        cell=cell,
        verdict=verdict,
        reason="; ".join(one.text for one in of),
        population=population,
        decided=population,
        violated=len(findings) if verdict is Verdict.VIOLATED else 0,
        findings=findings,
    )
    return suspected(judged, findings) if verdict is Verdict.UNKNOWN and findings else judged


def _judge_phase(case: Case, cell: Cell, phase: PhaseName, limits: PhaseLimits) -> _Result:
    span = case.evidence.phase(phase)
    if span is None:
        return _Result(verdict=Verdict.UNKNOWN, text=f"{phase}: never reached")
    lost = _load_lost(case, cell.workload or "", phase)
    if lost:
        return _Result(verdict=Verdict.UNKNOWN, text=f"{phase}: {lost}")
    operations = _members(case, cell.workload or "", span)
    if limits == PhaseLimits():
        return _Result(
            verdict=Verdict.HOLDS,
            text=f"{phase}: steady, {counted(len(operations), 'operation')}",
            population=len(operations),
        )
    required = required_operations(case.settings)
    if len(operations) < required:
        return _Result(
            verdict=Verdict.UNKNOWN, text=f"{phase}: {counted(len(operations), 'operation')}, {required} needed"
        )
    return _measure(case, cell, span, limits, operations)


def _measure(case: Case, cell: Cell, span: PhaseSpan, limits: PhaseLimits, operations: Sequence[Operation]) -> _Result:
    broken = [one for one in _limits(case, cell.workload or "", span, limits, operations) if not one.kept]
    calm = [one for one in operations if not case.lag_ms(one.intended_ns, until_ns(one))]
    # A latency that only operations beside a driver lag exceed is not the system's.
    excused = (
        {one.name for one in _limits(case, cell.workload or "", span, limits, calm) if one.kept} if calm else set()
    )
    blamed = [one for one in broken if not (one.rests_on_time and (case.clock_stepped or one.name in excused))]
    # An answer that never came is missing on any machine.
    certain = [one for one in blamed if not one.rests_on_time or one.value == inf]
    told = certain or blamed
    texts = [f"{one.name} {one.write(one.value)}, limit {one.write(one.bound)}" for one in told or broken]
    if told:
        return _Result(
            verdict=Verdict.VIOLATED if certain else Verdict.UNKNOWN,
            text=f"{span.phase}: {', '.join(texts)}",
            findings=tuple(_finding(cell, span, one) for one in told),
            population=len(operations),
        )
    if broken or (case.clock_stepped and _rests_on_time(limits)):
        why = case.clock_stepped or "only beside times in which the driver's loop stood still"
        return _Result(verdict=Verdict.UNKNOWN, text=f"{span.phase}: {', '.join([*texts, why])}")
    return _Result(
        verdict=Verdict.HOLDS,
        text=f"{span.phase}: within its limits, {counted(len(operations), 'operation')}",
        population=len(operations),
    )


def _limits(
    case: Case, workload: str, span: PhaseSpan, limits: PhaseLimits, operations: Sequence[Operation]
) -> Iterable[_Limit]:
    """Every limit that is asked, measured."""
    if limits.error_rate is not None:
        value = sum(not one.ok for one in operations) / len(operations)
        yield _upper("error rate", limits.error_rate, value, rests_on_time=False, write=_percent)
    latencies = sorted(inf if one.latency_ms is None else one.latency_ms for one in operations)
    for name, bound, share in (("p50", limits.p50_ms, 0.5), ("p99", limits.p99_ms, 0.99)):
        if bound is not None:
            # Nearest rank: with fewer than a hundred operations p99 is the slowest.
            yield _upper(name, bound, latencies[ceil(share * len(latencies)) - 1], rests_on_time=True, write=_latency)
    if limits.min_rate_per_s is not None:
        value = _rate_per_s(case, workload, span)
        yield _Limit(
            name="rate",
            bound=limits.min_rate_per_s,
            value=value,
            kept=value >= limits.min_rate_per_s,
            rests_on_time=True,
            write="{:.3g}/s".format,
        )


def _upper(name: str, bound: float, value: float, *, rests_on_time: bool, write: Callable[[float], str]) -> _Limit:
    return _Limit(name=name, bound=bound, value=value, kept=value <= bound, rests_on_time=rests_on_time, write=write)


def _percent(value: float) -> str:
    return f"{value:.3g}" if value > 1 else f"{100 * value:.3g} %"


def _latency(value: float) -> str:
    return "no answer" if value == inf else format_ms(value)


def _rate_per_s(case: Case, workload: str, span: PhaseSpan) -> float:
    """Answers ok per second, counted where they came."""
    came = sum(
        1
        for one in case.evidence.operations
        if one.workload == workload and one.ok and span.start_ns <= one.end_ns < span.end_ns
    )
    return came * 1e9 / max(1, span.end_ns - span.start_ns)


def _rests_on_time(limits: PhaseLimits) -> bool:
    return not (limits.p50_ms is None and limits.p99_ms is None and limits.min_rate_per_s is None)


def _members(case: Case, workload: str, span: PhaseSpan) -> list[Operation]:
    """Operations of the phase by intended start; one that straddles a boundary counts in neither baseline nor recovery.

    Where only probes were sent, they are what the phase has.
    """
    straddling = span.phase not in {PhaseName.BASELINE, PhaseName.RECOVERY}
    inside = [
        one
        for one in case.evidence.operations
        if one.workload == workload
        and span.start_ns <= one.intended_ns < span.end_ns
        and (straddling or until_ns(one) <= span.end_ns)
    ]
    return [one for one in inside if not one.probe] or inside


def _load_lost(case: Case, workload: str, phase: PhaseName) -> str:
    counted = [one for one in case.evidence.loads if (one.workload, one.phase) == (workload, phase)]
    if not counted:
        return "the driver did not report what it started"
    last = max(counted, key=lambda one: (one.started + one.dropped, one.t_ns))
    lost, scheduled = last.dropped + last.late, last.started + last.dropped
    if scheduled == 0 or lost <= case.settings.load_loss_ratio * scheduled:
        return ""
    return f"{last.dropped} starts dropped and {last.late} late of {scheduled}: the load was not what was asked"


def _finding(cell: Cell, span: PhaseSpan, limit: _Limit) -> Finding:
    return Finding(
        oracle=_NAME,
        cause=f"{cell.workload} had {limit.name} {limit.write(limit.value)} in {span.phase}, its limit is {limit.write(limit.bound)}",
        expected=f"{limit.name} within {limit.write(limit.bound)}",
        seen=limit.write(limit.value),
        error_class=f"{limit.name.replace(' ', '-')}-{span.phase}",
        cell=cell.id,
        workload=cell.workload,
        signature=cell.workload or "",
        where=f"phase {span.phase}, {(span.end_ns - span.start_ns) / (1000 * NS_PER_MS):.1f}s long",
    )


def _cells(plan: Plan) -> Iterable[Cell | NotJudged]:
    return per_workload(_NAME, plan)


STEADY = Oracle(
    name=_NAME,
    summary="each phase keeps its declared limits",
    timing=True,
    needs="limits per phase, else only a steady baseline",
    cells=_cells,
    judge=_judge,
)
