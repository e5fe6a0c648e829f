"""`summary.md`: the verdict for a person who reads it in a pull request, a CI summary or an editor."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from chaos.model.evidence import Evidence
from chaos.model.verdict import Cell, CellVerdict, Finding, RunVerdict, Verdict
from chaos.reports.json_report import started_utc
from chaos.reports.summary import (
    causes,
    confirmation,
    count_answers,
    count_findings,
    exit_meaning,
    headline,
    oracle_rows,
    second_runs,
)
from chaos.reports.text import code, count_of, markdown, table_cell
from chaos.reports.timeline import timeline

__all__ = ["render_markdown"]

_SIGNS = {Verdict.HOLDS: "✅", Verdict.VIOLATED: "❌", Verdict.UNKNOWN: "❔", Verdict.NOT_JUDGED: "⚪"}


def render_markdown(verdict: RunVerdict, evidence: Evidence) -> str:
    """The text of `summary.md` (GitHub Flavored Markdown)."""
    blocks = [
        f"# {_SIGNS[verdict.verdict]} {markdown(verdict.scenario)}: {verdict.verdict.value}",
        _about(verdict, evidence),
        *_findings(verdict.findings),
        *_oracles(verdict),
        *_timeline(evidence),
        *_unknown(verdict.cells),
        *_not_judged(verdict),
        *_notes(verdict, evidence),
        _run(verdict, evidence),
    ]
    return "\n\n".join(blocks) + "\n"


def _about(verdict: RunVerdict, evidence: Evidence) -> str:
    answers = count_answers(evidence.operations)
    parts = [
        f"exit {verdict.exit_code} ({exit_meaning(verdict.exit_code)})",
        count_findings(verdict.findings),
        f"{count_of(answers.total, 'operation')}: {answers.ok} ok, {answers.errors} errors, {answers.unanswered} unanswered",
    ]
    doubt = headline(verdict, evidence) if verdict.verdict is Verdict.UNKNOWN else ""
    told = [f"**{markdown(text)}**" for text in dict.fromkeys((evidence.end_error or "", doubt)) if text]
    return "\n\n".join([" · ".join([*parts, *map(markdown, second_runs(evidence))]), *told])


def _findings(findings: Sequence[Finding]) -> Iterator[str]:
    if findings:
        yield "## Findings"
    for number, one in enumerate(causes(findings), start=1):
        yield f"### {number}. {markdown(one.text)}"
        others = [_other(other, one.first) for other in one.findings[1:]]
        yield "\n".join(f"- {line}" for line in (*_facts(one.first), *others))


def _other(one: Finding, first: Finding) -> str:
    """A further finding with the same cause: what tells it from the first, and its id."""
    named = {"fault": one.fault, "link": one.link} if (one.fault, one.link) != (first.fault, first.link) else {}
    place = _named(named | {"operation": one.operation, "trace": one.trace_id})
    whose = f" of {code('.'.join(part for part in (one.workload, one.signature) if part))}"
    return f"also **{markdown(one.oracle)}**, {count_of(one.count, 'operation')}{whose}, id {code(one.id)}{_said(one)}{place and f': {place}'}"


def _named(names: Mapping[str, str | None]) -> str:
    return ", ".join(f"{name} {code(value)}" for name, value in names.items() if value)


def _facts(one: Finding) -> Iterator[str]:
    yield f"**{markdown(one.oracle)}**, {count_of(one.count, 'operation')}, id {code(one.id)}{_said(one)}"
    yield f"expected: {markdown(one.expected)}"
    yield f"seen: {markdown(one.seen)}"
    if place := _named({"fault": one.fault, "link": one.link, "operation": one.operation, "trace": one.trace_id}):
        yield place
    if one.where:
        yield f"look at: {markdown(one.where)}"
    for fact in one.evidence:
        yield f"evidence: {code(fact)}"


def _said(one: Finding) -> str:
    return f", **{told}**" if (told := confirmation(one)) else ""


def _oracles(verdict: RunVerdict) -> Iterator[str]:
    """Oracles over faults: each cell of the table is the worst over workloads, then the reason of the row."""
    rows = oracle_rows(verdict)
    if not rows:
        return
    faults = list(dict.fromkeys(cell.cell.fault for cell in verdict.cells))
    yield "## Oracles"
    names = [table_cell(code(fault)) if fault else "no fault" for fault in faults]
    header = ["oracle", "verdict", *names, "why"]
    lines = [_row(header), _row(["---"] * len(header))]
    for row in rows:
        of = [cell for cell in verdict.cells if cell.cell.oracle == row.oracle]
        marks = [_mark([cell for cell in of if cell.cell.fault == fault]) for fault in faults]
        lines.append(_row([markdown(row.oracle), row.verdict.value, *marks, markdown(row.reason)]))
    yield "\n".join(lines)
    yield " ".join(f"{sign} {one.value}" for one, sign in _SIGNS.items())


def _mark(cells: Sequence[CellVerdict]) -> str:
    """Signs with how many workloads each stands for, the worst first."""
    counts = {
        one: sum(1 for cell in cells if cell.verdict is one)
        for one in (Verdict.VIOLATED, Verdict.UNKNOWN, Verdict.HOLDS)
    }
    return " ".join(f"{_SIGNS[one]}{count if count > 1 else ''}" for one, count in counts.items() if count) or _SIGNS[Verdict.NOT_JUDGED]  # fmt: skip


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _timeline(evidence: Evidence) -> Iterator[str]:
    if picture := timeline(evidence):
        yield "## Timeline"
        # Names in the picture are one line and hold no backtick run that could end the fence.
        yield "```text\n" + "\n".join(picture).replace("`", "'") + "\n```"


def _unknown(cells: Sequence[CellVerdict]) -> Iterator[str]:
    unknown = [cell for cell in cells if cell.verdict is Verdict.UNKNOWN]
    if unknown:
        yield "## Unknown"
        yield "\n".join(_grouped((cell.cell, markdown(cell.reason)) for cell in unknown))


def _not_judged(verdict: RunVerdict) -> Iterator[str]:
    if verdict.not_judged:
        yield "## Not judged"
        yield "\n".join(
            _grouped(
                (one.cell, markdown(one.reason) + (f"; enable it with {code(one.enable)}" if one.enable else ""))
                for one in verdict.not_judged
            )
        )


def _grouped(cells: Iterable[tuple[Cell, str]]) -> Iterator[str]:
    """One line per reason, with the ids of the cells that it left so."""
    reasons: dict[str, dict[str, None]] = {}
    for cell, reason in cells:
        reasons.setdefault(reason, {})[cell.id] = None
    for reason, ids in reasons.items():
        yield f"- {', '.join(map(code, ids))}: {reason}"


def _notes(verdict: RunVerdict, evidence: Evidence) -> Iterator[str]:
    if notes := list(dict.fromkeys([*verdict.notes, *evidence.notes])):
        yield "## Notes"
        yield "\n".join(f"- {markdown(note)}" for note in notes)


def _run(verdict: RunVerdict, evidence: Evidence) -> str:
    scenario = evidence.plan.scenario
    facts = {
        "run": verdict.run_id,
        "started": started_utc(evidence),
        "seed": str(scenario.seed),
        "scenario": scenario.sha256[:12],
        "defects": ", ".join(evidence.plan.defects),
        "ended": evidence.end_how,
    } | evidence.versions
    return "## Run\n\n" + "\n".join(f"- {markdown(name)}: {code(value)}" for name, value in facts.items() if value)
