"""A verdict and evidence in which every text of others is hostile."""

from __future__ import annotations

import msgspec

from chaos.model.evidence import Evidence
from chaos.model.verdict import Cell, CellVerdict, Finding, NotJudged, RunVerdict, Verdict
from tests.reports.build_verdict import sample_evidence, sample_verdict

_EVIDENCE = sample_evidence()


def hostile_verdict(text: str) -> RunVerdict:
    """The sample verdict with `text` wherever the system, a scenario or an exception may speak."""
    finding = Finding(
        oracle="ok-means-ok", cause=text, expected=text, seen=text, error_class=text, fault=text, link=text, workload=text,
        signature=text, operation=text, trace_id=text, where=text, evidence=(text, text, text, text), confirmed=False,
    )  # fmt: skip
    cell = Cell(oracle="ok-means-ok", fault=text or None, workload=text or None)
    return msgspec.structs.replace(
        sample_verdict(),
        scenario=text,
        cells=(
            *sample_verdict(finding).cells,
            CellVerdict(cell=cell, verdict=Verdict.VIOLATED, reason=text, findings=(finding,)),
            CellVerdict(cell=cell, verdict=Verdict.UNKNOWN, reason=text, error=f"Traceback:\n  {text}\n"),
        ),
        not_judged=(NotJudged(cell=cell, reason=text, enable=text),),
        notes=(text,),
    )


def hostile_evidence(text: str) -> Evidence:
    """The sample evidence with `text` as fault and link names, notes, versions and the run's error."""
    faults = tuple(msgspec.structs.replace(one, fault=text, link=text) for one in _EVIDENCE.faults)
    plan = msgspec.structs.replace(_EVIDENCE.plan, defects=(text,))
    return msgspec.structs.replace(
        _EVIDENCE, faults=faults, plan=plan, notes=(text,), end_how="failed", end_error=text, versions={"part": text}
    )
