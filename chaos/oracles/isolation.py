"""isolation: operations that do not use a faulted link go on as if nothing were: answered ok, and about as quick as in the baseline.

Judged are those that overlap the fault from its onset until it ended, and that no other fault concerns. One that fails violates;
slow is judged by the median of each kind of operation. That rests on time, as does a timeout: it violates if a second run shows it, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from statistics import median

from chaos.model.duration import format_ms
from chaos.model.operation import Operation
from chaos.model.plan import Plan
from chaos.model.verdict import Cell, CellVerdict, NotJudged
from chaos.oracles.algebra import HELD, Decision, Outcome, undecided
from chaos.oracles.apart import per_fault_apart
from chaos.oracles.case import Case, unanswered
from chaos.oracles.concern import Concern, until_ns, wait_ms
from chaos.oracles.oracle import Oracle
from chaos.oracles.population import judge_apart
from chaos.oracles.waits import slow_from_ms, stood_still, timed_out
from chaos.oracles.words import answer_text, meanwhile, speaker

__all__ = ["ISOLATION"]

_NAME = "isolation"


def _decide(
    medians_ms: dict[str, float], case: Case, cell: Cell, operation: Operation, _concerns: tuple[Concern, ...]
) -> Decision:
    if unanswered(operation) and not case.watched(operation, wait_ms(operation)):
        return undecided("in flight when the run was ended")
    if not operation.ok:
        lagged = stood_still(case, operation) if unanswered(operation) else None
        return lagged or _failed(case, cell, operation)
    limit_ms = slow_from_ms(case, operation)
    if limit_ms is None:
        return undecided(f"the baseline has no {operation.workload}.{operation.name} to compare with")
    if case.lags and case.lag_ms(operation.intended_ns, until_ns(operation)):
        return undecided("the driver's loop stood still meanwhile")
    seen_ms = medians_ms.get(operation.name, 0.0)
    latency_ms = operation.latency_ms or 0.0
    if seen_ms <= limit_ms or latency_ms <= limit_ms:
        return HELD
    return _violated(
        case,
        cell,
        operation,
        error_class="slowed",
        what=f"{operation.workload}.{operation.name} got slow",
        expected=f"a median of at most {format_ms(limit_ms)} (baseline {format_ms(case.usual_ms[operation.workload, operation.name])})",
        seen=f"a median of {format_ms(seen_ms)}, this one {format_ms(latency_ms)}",
        rests_on_time=True,
    )


def _failed(case: Case, cell: Cell, operation: Operation) -> Decision:
    text = answer_text(operation.answer)
    if unanswered(operation):
        what = f"{operation.workload}.{operation.name} got {text}"
    elif operation.answer.layer == "driver":
        what = f"{operation.workload}.{operation.name} failed with {text}"
    else:
        what = f"{speaker(case, operation)} {text}"
    return _violated(
        case,
        cell,
        operation,
        error_class="drawn-in",
        what=what,
        expected="ok: the fault is on no link that this operation uses",
        seen=text,
        rests_on_time=timed_out(case, operation),
    )


def _violated(
    case: Case,
    cell: Cell,
    operation: Operation,
    *,
    error_class: str,
    what: str,
    expected: str,
    seen: str,
    rests_on_time: bool,
) -> Decision:
    links = case.faults[cell.fault or ""].links
    elsewhere = [Concern(fault=cell.fault or "", link=link, hit=False) for link in links]
    return Decision(
        outcome=Outcome.VIOLATED,
        error_class=error_class,
        cause=f"{what}{meanwhile(case, elsewhere, cell.fault)}, which it does not use",
        expected=expected,
        seen=seen,
        link=_nearest(case, operation, links),
        rests_on_time=rests_on_time,
    )


def _nearest(case: Case, operation: Operation, links: Sequence[str]) -> str:
    """The faulted link by which the operation may have been drawn in: one of a service on its way, if there is any."""
    services = {case.links[name].callee for name in operation.route if name in case.links}
    return next((name for name in links if name in case.links and case.links[name].caller in services), links[0])


def _judge(case: Case, cell: Cell) -> CellVerdict:
    latencies: dict[str, list[float]] = {}
    bystanders = case.bystanders.get((cell.fault or "", cell.workload or ""), ())
    for one in (case.evidence.operations[index] for index in bystanders):
        if one.ok and one.latency_ms is not None and not (case.lags and case.lag_ms(one.intended_ns, until_ns(one))):
            latencies.setdefault(one.name, []).append(one.latency_ms)
    medians_ms = {name: median(many) for name, many in latencies.items()}
    return judge_apart(case, cell, partial(_decide, medians_ms))


def _cells(plan: Plan) -> Iterable[Cell | NotJudged]:
    return per_fault_apart(_NAME, plan)


ISOLATION = Oracle(
    name=_NAME,
    summary="who does not use a faulted link does not notice",
    timing=True,
    needs="a workload that a fault does not concern, at a rate that fills a cell",
    cells=_cells,
    judge=_judge,
)
