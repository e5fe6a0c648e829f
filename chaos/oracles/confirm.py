"""Confirmation: a finding that rests on time violates only if a second run shows it, too.

| second run of the cell                                      | verdict                                    |
|-------------------------------------------------------------|--------------------------------------------|
| shows a finding of the same id, or violates on any machine  | VIOLATED; what it shows, too, is confirmed |
| holds                                                       | UNKNOWN, not confirmed                     |
| cannot be decided, shows something else, or did not end     | UNKNOWN, not confirmed; the reason says so |
| none was made                                               | UNKNOWN, as it was                         |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from chaos.model.evidence import Evidence
from chaos.model.verdict import CellVerdict, Finding, Verdict
from chaos.oracles.algebra import UNCONFIRMED
from chaos.oracles.text import counted

__all__ = ["SecondRun", "confirm", "open_suspicions", "seen_only_again"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondRun:
    """A second run and what its own evidence says of its cells. One that did not end as planned confirms nothing."""

    evidence: Evidence
    cells: tuple[CellVerdict, ...]

    @property
    def failure(self) -> str:
        """Why it proves nothing; empty if it may."""
        if self.evidence.interrupted_by is not None or self.evidence.end_how != "complete":
            error = f": {self.evidence.end_error}" if self.evidence.end_error else ""
            return f"ended as {self.evidence.end_how}{error}"
        return ""

    def cell(self, cell_id: str) -> CellVerdict | None:
        """Its verdict on that cell, if it has one."""
        return next((one for one in self.cells if one.cell.id == cell_id), None)


def open_suspicions(cells: Sequence[CellVerdict]) -> tuple[CellVerdict, ...]:
    """Cells with findings that only a second run can confirm."""
    return tuple(one for one in cells if one.verdict is Verdict.UNKNOWN and one.findings)


def confirm(cells: Sequence[CellVerdict], runs: Sequence[SecondRun]) -> tuple[CellVerdict, ...]:
    """The cells of the first run, with what second runs say of their suspicions."""
    suspected = {one.cell.id for one in open_suspicions(cells)}
    return tuple(_ask(one, runs) if one.cell.id in suspected else one for one in cells)


def seen_only_again(cells: Sequence[CellVerdict], run: SecondRun) -> tuple[Finding, ...]:
    """What a second run shows beyond doubt in cells that the first one did not suspect."""
    calm = {one.cell.id for one in cells if not one.findings}
    return tuple(
        finding
        for one in run.cells
        if one.verdict is Verdict.VIOLATED and one.cell.id in calm
        for finding in one.findings
    )


def _ask(cell: CellVerdict, runs: Sequence[SecondRun]) -> CellVerdict:
    answers = [(run, second) for run in runs if (second := run.cell(cell.cell.id)) is not None]
    for run, second in answers:
        if not run.failure and (_shared(cell, second) or second.verdict is Verdict.VIOLATED):
            return _confirmed(cell, second)
    if not answers:
        return cell
    run, second = min(answers, key=lambda one: bool(one[0].failure))
    return msgspec.structs.replace(cell, reason=f"not confirmed: {_what(cell)}; {_not_shown(run, second)}")


def _shared(cell: CellVerdict, second: CellVerdict) -> set[str]:
    return {one.id for one in cell.findings} & {one.id for one in second.findings}


def _confirmed(cell: CellVerdict, second: CellVerdict) -> CellVerdict:
    """Violated by what both runs show, and by what the second one shows without resting on time."""
    shared = _shared(cell, second)
    findings = [msgspec.structs.replace(one, confirmed=one.id in shared) for one in cell.findings]
    if second.verdict is Verdict.VIOLATED:
        findings += [one for one in second.findings if one.id not in shared]
    count = min(sum(one.count for one in findings if one.id in shared), cell.suspected)
    return msgspec.structs.replace(
        cell,
        verdict=Verdict.VIOLATED,
        reason=f"{_what(cell)}; a second run shows it, too: {_what(second)}",
        violated=cell.violated + max(count, 1),
        decided=cell.decided + count,
        undecided=cell.undecided - count,
        suspected=cell.suspected - count,
        findings=tuple(sorted(findings, key=lambda one: one.confirmed is False)),
    )


def _what(cell: CellVerdict) -> str:
    """The cell's reason, without that nothing confirms it."""
    return cell.reason.removesuffix(f"; {UNCONFIRMED}")


def _not_shown(run: SecondRun, second: CellVerdict) -> str:
    if run.failure:
        return f"the second run {run.failure}"
    if second.findings:
        return f"the second run shows something else: {_what(second)}"
    if second.verdict is Verdict.HOLDS:
        tolerated = ", as many as a cell tolerates" if second.suspected else ""
        return f"{second.suspected or 'none'} of {counted(second.population, 'operation')} in the second run{tolerated}"
    return f"the second run does not decide: {second.reason}"
