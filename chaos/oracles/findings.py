"""From violations to findings: those with the same cause are one finding with a count, shown on its first operation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from chaos.model.operation import Operation
from chaos.model.verdict import Cell, Finding
from chaos.model.wire_record import WireRecord
from chaos.oracles.algebra import Decision
from chaos.oracles.case import Case
from chaos.oracles.concern import NS_PER_MS, Concern, until_ns
from chaos.oracles.words import answer_text, blamed_link, record_text, where_to_look

__all__ = ["MOST_EVIDENCE", "Violation", "evidence_of", "group"]

MOST_EVIDENCE = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """An operation that violated, with the decision on it and what concerned it."""

    operation: Operation
    decision: Decision
    concerns: tuple[Concern, ...] = ()


def group(case: Case, cell: Cell, violations: Sequence[Violation]) -> tuple[Finding, ...]:
    """One finding for each class, operation name and link; the most frequent first."""
    causes: dict[tuple[str, str, str | None], list[Violation]] = {}
    for one in violations:
        link = one.decision.link or blamed_link(one.operation, one.concerns, cell.fault)
        causes.setdefault((one.decision.error_class, one.operation.name, link), []).append(one)
    findings = [_finding(case, cell, link, many) for (_, _, link), many in causes.items()]
    return tuple(sorted(findings, key=lambda one: (-one.count, one.signature, one.error_class)))


def _finding(case: Case, cell: Cell, link: str | None, violations: Sequence[Violation]) -> Finding:
    first = min(violations, key=_clearest)
    operation, decision = first.operation, first.decision
    return Finding(
        oracle=cell.oracle,
        cause=decision.cause,
        expected=decision.expected,
        seen=decision.seen,
        error_class=decision.error_class,
        cell=cell.id,
        fault=cell.fault,
        link=link,
        workload=operation.workload,
        signature=operation.name,
        operation=operation.op_id,
        trace_id=operation.trace_id or None,
        where=decision.where or where_to_look(case, operation, link),
        evidence=(*decision.facts, *evidence_of(case, operation, first.concerns, decision.moments)),
        count=len(violations),
    )


def _clearest(one: Violation) -> tuple[bool, int]:
    """An operation that was hit shows the cause better than one that was only exposed; then the first in time."""
    return (not any(concern.hit for concern in one.concerns), one.operation.start_ns)


def evidence_of(
    case: Case, operation: Operation, concerns: Sequence[Concern], moments: Sequence[tuple[int, str]] = ()
) -> tuple[str, ...]:
    """The smallest facts that show what happened, in time: the operation, its faults, its messages, or those moments of them."""
    start_ns = operation.start_ns
    lines = [(start_ns, f"+0ms {operation.name} starts, deadline {operation.deadline_ms:.0f}ms")]
    if not moments:
        lines += [(one.t_ns, record_text(one, start_ns)) for one in _telling(case.story(operation))]
    lines += _fault_lines(case, operation, concerns)
    end_ns = until_ns(operation)
    lines = [line for line in lines if line[0] <= end_ns]
    lines += [(t_ns, f"{(t_ns - start_ns) / NS_PER_MS:+.0f}ms {text}") for t_ns, text in moments]
    lines.append((end_ns, f"{(end_ns - start_ns) / NS_PER_MS:+.0f}ms {answer_text(operation.answer)}"))
    return tuple(text for _, text in sorted(lines, key=lambda line: line[0]))


def _telling(records: Sequence[WireRecord]) -> Sequence[WireRecord]:
    """All of a short story; of a long one what faults touched and what failed, then the ends."""
    if len(records) <= MOST_EVIDENCE:
        return records
    loud = [one for one in records if one.faults or one.status == "aborted" or one.status[:1] in {"4", "5"}]
    return (loud or [records[0], *records[-MOST_EVIDENCE:]])[:MOST_EVIDENCE]


def _fault_lines(case: Case, operation: Operation, concerns: Sequence[Concern]) -> list[tuple[int, str]]:
    pairs = {(one.fault, one.link) for one in concerns}
    lines: list[tuple[int, str]] = []
    for one in case.evidence.faults:
        if (one.fault, one.link) not in pairs:
            continue
        for t_ns, verb in ((one.onset_ns, "begins"), (one.heal_ns, "ends")):
            if t_ns is not None:
                lines.append((t_ns, f"{(t_ns - operation.start_ns) / NS_PER_MS:+.0f}ms {one.link} {one.fault} {verb}"))
    return lines
