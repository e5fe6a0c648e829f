"""`verdict.json`: the verdict and what it rests on, for machines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from chaos.model.evidence import Evidence, FaultInterval
from chaos.model.scenario import Recovery
from chaos.model.settings import Settings
from chaos.model.verdict import CellVerdict, Finding, NotJudged, RunVerdict, Verdict
from chaos.reports import document as doc
from chaos.reports.summary import count_answers, exit_meaning, oracle_rows, seconds
from chaos.reports.text import block, one_line

__all__ = ["build_document", "render_json", "started_utc"]


def render_json(verdict: RunVerdict, evidence: Evidence) -> str:
    """The text of `verdict.json`, indented, by `docs/verdict.schema.json`."""
    clean = _clean(msgspec.to_builtins(build_document(verdict, evidence)))
    return msgspec.json.format(msgspec.json.encode(clean), indent=2).decode()


def build_document(verdict: RunVerdict, evidence: Evidence) -> doc.Document:
    """The verdict and its evidence in the shape of `verdict.json`."""
    cells = verdict.cells
    settings, changed = _settings(evidence)
    return doc.Document(
        format=doc.DOCUMENT_FORMAT,
        run=_run(verdict, evidence),
        verdict=_name(verdict.verdict),
        exit_code=verdict.exit_code,
        exit_meaning=exit_meaning(verdict.exit_code),
        counts=doc.CountsPart(
            cells=_cell_counts([cell.verdict for cell in cells] + [Verdict.NOT_JUDGED] * len(verdict.not_judged)),
            findings=len(verdict.findings),
            operations=count_answers(evidence.operations),
            wire_records=len(evidence.wire),
        ),
        oracles=_oracles(verdict),
        findings=[_finding(one, cells) for one in verdict.findings],
        cells=[_cell(cell) for cell in cells],
        not_judged=[_not_judged(one) for one in verdict.not_judged],
        phases=[
            doc.PhasePart(phase=one.phase, start_s=_s(evidence, one.start_ns), end_s=_s(evidence, one.end_ns))
            for one in evidence.phases
        ],
        faults=[_fault(one, evidence) for one in evidence.faults],
        baseline=_baseline(evidence),
        recovery=[
            doc.ProbesPart(workload=one.workload, passed=one.passed, in_a_row=one.in_a_row, sent=one.sent)
            for one in evidence.probes
        ],
        healed=_healed(evidence),
        attempts=[_attempt(one, evidence) for one in evidence.attempts],
        evidence_lost=[doc.LostPart(what=one.what, count=one.count) for one in evidence.lost],
        settings=settings,
        settings_changed=changed,
        notes=list(dict.fromkeys([*verdict.notes, *evidence.notes])),
        versions=evidence.versions,
    )


def started_utc(evidence: Evidence) -> str:
    """When the run began, in UTC by RFC 3339, to the second."""
    return datetime.fromtimestamp(evidence.start_wall_ns // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _run(verdict: RunVerdict, evidence: Evidence) -> doc.RunPart:
    scenario = evidence.plan.scenario
    return doc.RunPart(
        id=verdict.run_id,
        scenario=verdict.scenario,
        source=scenario.source,
        sha256=scenario.sha256,
        seed=scenario.seed,
        system=scenario.system,
        defects=list(evidence.plan.defects),
        started=started_utc(evidence),
        duration_s=_s(evidence, max(evidence.end_ns, evidence.start_ns)),
        end_how=evidence.end_how,
        end_error=evidence.end_error,
        interrupted_by=evidence.interrupted_by,
        clock_stepped_ms=evidence.clock_stepped_ms,
    )


def _oracles(verdict: RunVerdict) -> list[doc.OraclePart]:
    return [
        doc.OraclePart(name=row.oracle, verdict=_name(row.verdict), cells=_counts(row.counts), reason=row.reason)
        for row in oracle_rows(verdict)
    ]


def _cell(cell: CellVerdict) -> doc.CellPart:
    return doc.CellPart(
        id=cell.cell.id,
        oracle=cell.cell.oracle,
        fault=cell.cell.fault,
        workload=cell.cell.workload,
        verdict=_name(cell.verdict),
        reason=cell.reason,
        population=cell.population,
        decided=cell.decided,
        undecided=cell.undecided,
        suspected=cell.suspected,
        violated=cell.violated,
        masked=cell.masked,
        required=cell.required,
        findings=list(dict.fromkeys(one.id for one in cell.findings)),
        error=cell.error,
    )


def _finding(finding: Finding, cells: Iterable[CellVerdict]) -> doc.FindingPart:
    return doc.FindingPart(
        id=finding.id,
        oracle=finding.oracle,
        cells=[cell.cell.id for cell in cells if any(one.id == finding.id for one in cell.findings)],
        cause=finding.cause,
        expected=finding.expected,
        seen=finding.seen,
        error_class=finding.error_class,
        fault=finding.fault,
        link=finding.link,
        workload=finding.workload,
        signature=finding.signature,
        operation=finding.operation,
        trace_id=finding.trace_id,
        where=finding.where,
        evidence=list(finding.evidence),
        count=finding.count,
        confirmed=finding.confirmed,
    )


def _not_judged(one: NotJudged) -> doc.NotJudgedPart:
    cell = one.cell
    return doc.NotJudgedPart(
        id=cell.id, oracle=cell.oracle, fault=cell.fault, workload=cell.workload, reason=one.reason, enable=one.enable
    )


def _fault(one: FaultInterval, evidence: Evidence) -> doc.FaultPart:
    return doc.FaultPart(
        fault=one.fault,
        kind=next((fault.kind for fault in evidence.plan.faults if fault.name == one.fault), ""),
        link=one.link,
        planned_start_s=_s(evidence, one.planned_start_ns),
        planned_end_s=_s(evidence, one.planned_end_ns),
        onset_s=seconds(evidence, one.onset_ns),
        heal_s=seconds(evidence, one.heal_ns),
        how=one.how,
    )


def _baseline(evidence: Evidence) -> doc.BaselinePart | None:
    one = evidence.baseline
    if one is None:
        return None
    return doc.BaselinePart(
        steady=one.steady,
        reason=one.reason,
        operations=one.operations,
        medians_ms=one.medians_ms,
        p99s_ms=one.p99s_ms,
    )


def _attempt(one: Evidence, evidence: Evidence) -> doc.AttemptPart:
    return doc.AttemptPart(
        faults=[fault.name for fault in one.plan.faults],
        start_s=_s(evidence, one.start_ns),
        end_s=_s(evidence, one.end_ns),
        end_how=one.end_how,
        end_error=one.end_error,
        interrupted_by=one.interrupted_by,
        operations=count_answers(one.operations),
    )


def _healed(evidence: Evidence) -> doc.HealPart:
    return doc.HealPart(
        checks=len(evidence.heals),
        remaining=list(dict.fromkeys(text for one in evidence.heals for text in one.remaining)),
        errors=[one.error for one in evidence.heals if one.error],
    )


def _settings(evidence: Evidence) -> tuple[dict[str, float], list[str]]:
    """All numbers as used, and the names of those that are not the defaults."""
    scenario = evidence.plan.scenario
    used, default = msgspec.structs.asdict(scenario.expect.settings), msgspec.structs.asdict(Settings())
    for values, recovery in ((used, scenario.timeline.recovery), (default, Recovery())):
        values |= {f"recovery_{name}": value for name, value in msgspec.structs.asdict(recovery).items()}
    return used, [name for name, value in used.items() if value != default[name]]


def _counts(counts: Mapping[Verdict, int]) -> doc.CellCounts:
    return doc.CellCounts(
        holds=counts.get(Verdict.HOLDS, 0),
        violated=counts.get(Verdict.VIOLATED, 0),
        unknown=counts.get(Verdict.UNKNOWN, 0),
        not_judged=counts.get(Verdict.NOT_JUDGED, 0),
    )


def _cell_counts(verdicts: list[Verdict]) -> doc.CellCounts:
    return _counts({one: verdicts.count(one) for one in Verdict})


def _name(verdict: Verdict) -> doc.VerdictName:
    return verdict.value


def _s(evidence: Evidence, t_ns: int) -> float:
    return seconds(evidence, t_ns) or 0.0


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return block(value) if "\n" in value else one_line(value)
    if isinstance(value, dict):
        return {one_line(key): _clean(one) for key, one in value.items()}
    return [_clean(one) for one in value] if isinstance(value, list | tuple) else value
