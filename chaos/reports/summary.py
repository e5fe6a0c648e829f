"""What every renderer shows, worked out once: oracles over their cells, counts, and a run's own clock."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from chaos.model.base import Data
from chaos.model.evidence import Evidence
from chaos.model.exit_code import ExitCode
from chaos.model.operation import AnswerKind, Operation
from chaos.model.verdict import CellVerdict, Finding, RunVerdict, Verdict
from chaos.reports.text import count_of, one_line

__all__ = [
    "Answers",
    "Cause",
    "OracleRow",
    "causes",
    "confirmation",
    "count_answers",
    "count_findings",
    "exit_meaning",
    "headline",
    "oracle_rows",
    "origin_ns",
    "second_runs",
    "seconds",
    "worst",
]

_ORDER = (Verdict.VIOLATED, Verdict.UNKNOWN, Verdict.HOLDS, Verdict.NOT_JUDGED)
_MANY_LAGS = 5
_MEANINGS = {
    ExitCode.HOLDS: "everything judged holds",
    ExitCode.VIOLATED: "violated",
    ExitCode.USAGE: "nothing was run",
    ExitCode.UNKNOWN: "the evidence does not decide",
    ExitCode.ABORTED: "stopped by an abort condition",
    ExitCode.NOT_READY: "the environment was not ready",
    ExitCode.FAULT_REMAINS: "a fault may remain: run `chaos-drill recover`",
    ExitCode.INTERRUPTED: "interrupted",
    ExitCode.TERMINATED: "terminated",
}


class OracleRow(Data, frozen=True, kw_only=True):
    """One oracle over all its cells. `counts` hold cells per verdict, `reason` is that of its worst cell."""

    oracle: str
    verdict: Verdict
    counts: dict[Verdict, int]
    reason: str

    @property
    def cells(self) -> str:
        """How many cells, in few characters: `5`, or `1 of 5` for those that made the verdict."""
        judged = sum(count for verdict, count in self.counts.items() if verdict is not Verdict.NOT_JUDGED)
        made = self.counts.get(self.verdict, 0)
        return str(made) if made == judged or not judged else f"{made} of {judged}"


class Cause(Data, frozen=True, kw_only=True):
    """What several findings have in common: the same line of cause. The first one is shown whole, the others beside it."""

    text: str
    findings: tuple[Finding, ...]

    @property
    def first(self) -> Finding:
        """The finding to show whole."""
        return self.findings[0]


class Answers(Data, frozen=True, kw_only=True):
    """Operations of a run by their answer; probes count apart, `unmet` are ok answers with wrong content."""

    total: int
    ok: int
    errors: int
    unanswered: int
    unmet: int
    probes: int


def worst(verdicts: Sequence[Verdict]) -> Verdict:
    """VIOLATED > UNKNOWN > HOLDS > NOT JUDGED."""
    return next((one for one in _ORDER if one in verdicts), Verdict.NOT_JUDGED)


def oracle_rows(verdict: RunVerdict) -> tuple[OracleRow, ...]:
    """One row per oracle, in the order of the cells; oracles that judged nothing come last."""
    cells: dict[str, list[CellVerdict]] = {}
    for cell in verdict.cells:
        cells.setdefault(cell.cell.oracle, []).append(cell)
    skipped = Counter(one.cell.oracle for one in verdict.not_judged)
    reasons = {one.cell.oracle: one.reason for one in reversed(verdict.not_judged)}
    rows = [_row(oracle, of, skipped[oracle], reasons.get(oracle, "")) for oracle, of in cells.items()]
    rows += [_row(oracle, [], skipped[oracle], reasons[oracle]) for oracle in skipped if oracle not in cells]
    return tuple(rows)


def _row(oracle: str, cells: list[CellVerdict], skipped: int, skipped_for: str) -> OracleRow:
    counts = Counter(cell.verdict for cell in cells)
    counts[Verdict.NOT_JUDGED] += skipped
    verdict = worst([cell.verdict for cell in cells])
    first = next((cell for cell in cells if cell.verdict is verdict), None)
    return OracleRow(
        oracle=oracle, verdict=verdict, counts={one: counts[one] for one in _ORDER if counts[one]}, reason=_reason(first, cells, skipped_for)
    )  # fmt: skip


def _reason(first: CellVerdict | None, cells: list[CellVerdict], skipped_for: str) -> str:
    if first is None:
        return skipped_for
    if first.verdict is Verdict.HOLDS and len(cells) > 1:
        return _held(cells)
    if first.findings and first.verdict is Verdict.VIOLATED:
        return _most(first.findings).cause
    return first.reason


def _held(cells: list[CellVerdict]) -> str:
    """Of oracles that judge operations under faults, how many; of the others, what each cell says."""
    if any(cell.cell.fault and cell.cell.workload for cell in cells):
        masked = sum(cell.masked for cell in cells)
        told = f"{count_of(sum(cell.decided for cell in cells), 'decision')} held"
        return f"{told}, {masked} masked" if masked else told
    named = [(cell.cell.workload or cell.cell.fault, cell.reason) for cell in cells]
    return "; ".join(f"{name}: {reason}" if name else reason for name, reason in named)


def _most(findings: Sequence[Finding]) -> Finding:
    return max(findings, key=lambda one: one.count)


def causes(findings: Sequence[Finding]) -> tuple[Cause, ...]:
    """The findings by their cause, both in the order in which they come."""
    found: dict[str, list[Finding]] = {}
    for one in findings:
        found.setdefault(one_line(one.cause), []).append(one)
    return tuple(Cause(text=text, findings=tuple(of)) for text, of in found.items())


def count_findings(findings: Sequence[Finding]) -> str:
    """`1 finding`, or `12 findings with 2 causes` where some share one; those that no second run confirmed are told apart."""
    distinct, doubted = len(causes(findings)), sum(one.confirmed is False for one in findings)
    told = count_of(len(findings), "finding")
    told = told if distinct == len(findings) else f"{told} with {count_of(distinct, 'cause')}"
    if not doubted:
        return told
    return f"{told}, not confirmed" if doubted == len(findings) else f"{told}, {doubted} not confirmed"


def confirmation(finding: Finding) -> str:
    """What a second run said of a finding that rests on time; empty for one that does not."""
    if finding.confirmed is None:
        return ""
    return "confirmed by a second run" if finding.confirmed else "not confirmed by a second run"


def second_runs(evidence: Evidence) -> Iterator[str]:
    """A line for each second run: what it repeated, how much there was, and how it ended if not as planned."""
    for one in evidence.attempts:
        whole = len(one.plan.faults) == len(evidence.plan.faults) > 1
        faults = "the whole timeline" if whole else ", ".join(fault.name for fault in one.plan.faults)
        lasted = max(one.end_ns - one.start_ns, 0) / 1e9
        ended = "" if one.end_how == "complete" else f", ended as {one.end_how}"
        told = count_of(count_answers(one.operations).total, "operation")
        yield f"second run of {one_line(faults)}: {told}, {lasted:.0f} s{ended}"


def headline(verdict: RunVerdict, evidence: Evidence) -> str:
    """Why a run is not green, in one line: its first cause, what it failed on, its unsteady baseline, its most frequent doubt.

    Empty if it holds.
    """
    if verdict.verdict is Verdict.VIOLATED and verdict.findings:
        found = causes(verdict.findings)
        more = f" (and {count_of(len(found) - 1, 'other cause')})" if len(found) > 1 else ""
        return found[0].text + more
    if verdict.verdict is not Verdict.UNKNOWN:
        return ""
    if evidence.end_error:
        return one_line(evidence.end_error)
    if evidence.baseline is not None and not evidence.baseline.steady:
        why = f"the baseline was not steady, so no fault was begun: {one_line(evidence.baseline.reason)}"
        return why + _busy(evidence)
    doubts = Counter(one_line(one.reason) for one in verdict.cells if one.verdict is Verdict.UNKNOWN)
    return doubts.most_common(1)[0][0] if doubts else ""


def _busy(evidence: Evidence) -> str:
    """A driver that could not keep time is a sign of a machine that has no room for a drill, and not of the system."""
    lags = len(evidence.lags)
    return (
        f"; the machine looks too busy for a drill (the driver stood still {lags} times)" if lags >= _MANY_LAGS else ""
    )


def count_answers(operations: Sequence[Operation]) -> Answers:
    """Count operations by their answer."""
    load = [one for one in operations if not one.probe]
    kinds = Counter(one.answer.kind for one in load)
    return Answers(
        total=len(load),
        ok=kinds[AnswerKind.OK],
        errors=kinds[AnswerKind.ERROR],
        unanswered=kinds[AnswerKind.NONE] + kinds[AnswerKind.ACCEPTED],
        unmet=sum(1 for one in load if one.ok and one.unmet),
        probes=len(operations) - len(load),
    )


def exit_meaning(code: int) -> str:
    """What an exit code says, in a few words."""
    return next((meaning for known, meaning in _MEANINGS.items() if known == code), "")


def origin_ns(evidence: Evidence) -> int:
    """The moment that reports count from: the first record of the run."""
    return evidence.start_ns or (evidence.phases[0].start_ns if evidence.phases else 0)


def seconds(evidence: Evidence, t_ns: int | None) -> float | None:
    """Seconds since the run began, to the millisecond."""
    return None if t_ns is None else round((t_ns - origin_ns(evidence)) / 1e9, 3)
