"""`junit.xml`: one test case per cell, named by the cell's id, for the readers of test results that every CI has."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from chaos.model.evidence import Evidence
from chaos.model.exit_code import ExitCode
from chaos.model.verdict import CellVerdict, Finding, NotJudged, RunVerdict, Verdict
from chaos.reports.json_report import started_utc
from chaos.reports.summary import causes, confirmation, exit_meaning
from chaos.reports.text import block, count_of, one_line

__all__ = ["render_junit"]

RUN_CASE = "run"


def render_junit(verdict: RunVerdict, evidence: Evidence) -> str:
    """The text of `junit.xml`: VIOLATED is a failure, UNKNOWN an error, NOT JUDGED skipped.

    A run that does not exit 0 is never all green: what no cell tells (a fault that may remain, an interrupt, a run that broke off)
    is the error of the case `run`.
    """
    suite = ET.Element("testsuite", {"name": one_line(verdict.scenario), "timestamp": started_utc(evidence)})
    suite.set("time", f"{max(evidence.end_ns - evidence.start_ns, 0) / 1e9:.3f}")
    _properties(suite, verdict, evidence)
    for cell in verdict.cells:
        _judged(_case(suite, verdict, cell.cell.id), cell)
    for one in verdict.not_judged:
        _skipped(_case(suite, verdict, one.cell.id), one)
    _run(suite, verdict, evidence)
    for name, tag in (("tests", "testcase"), ("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(name, str(sum(1 for _ in suite.iter(tag))))
    suites = ET.Element("testsuites", {"name": "chaos-drill"})
    suites.append(suite)
    ET.indent(suites)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(suites, encoding="unicode") + "\n"


def _properties(suite: ET.Element, verdict: RunVerdict, evidence: Evidence) -> None:
    holder = ET.SubElement(suite, "properties")
    scenario = evidence.plan.scenario
    values = {
        "run": verdict.run_id,
        "verdict": verdict.verdict.value,
        "exit_code": str(verdict.exit_code),
        "seed": str(scenario.seed),
        "sha256": scenario.sha256,
        "defects": ",".join(evidence.plan.defects),
    }
    for name, value in values.items():
        ET.SubElement(holder, "property", {"name": name, "value": one_line(value)})


def _case(suite: ET.Element, verdict: RunVerdict, name: str) -> ET.Element:
    return ET.SubElement(suite, "testcase", {"classname": one_line(verdict.scenario), "name": one_line(name)})


def _judged(case: ET.Element, cell: CellVerdict) -> None:
    if cell.verdict is Verdict.VIOLATED:
        message = "; ".join(one.text for one in causes(cell.findings)) or one_line(cell.reason)
        _problem(case, "failure", message, "VIOLATED", "\n\n".join(_told(one) for one in cell.findings))
    elif cell.verdict is Verdict.UNKNOWN:
        _problem(case, "error", one_line(cell.reason), "UNKNOWN", block(cell.error or ""))
    elif cell.verdict is Verdict.NOT_JUDGED:
        ET.SubElement(case, "skipped", {"message": one_line(cell.reason)})


def _skipped(case: ET.Element, one: NotJudged) -> None:
    enable = f"; enable it with {one_line(one.enable)}" if one.enable else ""
    ET.SubElement(case, "skipped", {"message": one_line(one.reason) + enable})


def _run(suite: ET.Element, verdict: RunVerdict, evidence: Evidence) -> None:
    explained = (ExitCode.VIOLATED, ExitCode.UNKNOWN)
    problems = suite.find("testcase/failure") is not None or suite.find("testcase/error") is not None
    if verdict.exit_code == ExitCode.HOLDS or (verdict.exit_code in explained and problems):
        return
    told = f"exit {verdict.exit_code}: {exit_meaning(verdict.exit_code)}"
    told += f": {one_line(evidence.end_error)}" if evidence.end_error else ""
    why = "; ".join(one_line(text) for text in (evidence.end_error or "", *verdict.notes) if text)
    _problem(_case(suite, verdict, RUN_CASE), "error", told, verdict.verdict.value, why)


def _problem(case: ET.Element, tag: str, message: str, kind: str, text: str) -> None:
    ET.SubElement(case, tag, {"message": message, "type": kind}).text = text or message


def _told(finding: Finding) -> str:
    facts = {
        "cause": finding.cause,
        "expected": finding.expected,
        "seen": finding.seen,
        "fault": finding.fault,
        "link": finding.link,
        "operation": finding.operation,
        "trace": finding.trace_id,
        "where": finding.where,
        "second run": confirmation(finding),
        "count": count_of(finding.count, "operation"),
        "id": finding.id,
    }
    lines = [f"{name}: {one_line(value)}" for name, value in facts.items() if value]
    return "\n".join(lines + [f"  {one_line(fact)}" for fact in finding.evidence])
