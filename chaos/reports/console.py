"""The final table and the findings, as a person at a terminal reads them; plain lines of 80 columns anywhere else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TextIO

from rich import box
from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from chaos.model.evidence import Evidence
from chaos.model.exit_code import ExitCode
from chaos.model.verdict import Cell, CellVerdict, Finding, RunVerdict, Verdict
from chaos.reports.screen import Screen, screen_of
from chaos.reports.summary import (
    Cause,
    causes,
    confirmation,
    count_answers,
    count_findings,
    exit_meaning,
    headline,
    oracle_rows,
    second_runs,
    seconds,
)
from chaos.reports.text import count_of, one_line, shorten
from chaos.reports.timeline import timeline

__all__ = ["VERDICT_STYLES", "console_text", "render_console"]

VERDICT_STYLES = {
    Verdict.HOLDS: "green",
    Verdict.VIOLATED: "bold red",
    Verdict.UNKNOWN: "bold yellow",
    Verdict.NOT_JUDGED: "dim",
}
_MOST_CAUSES = 20
_MOST_LINES = 8
_LAST_FACTS = 4  # how the answer came about stands at the end of the evidence
_MOST_OTHERS = 6
_GAP = 2
_ENDED = {"interrupted": "was interrupted", "aborted": "was stopped by an abort condition", "cut off": "was cut off"}
_SELF_EXPLAINING = (ExitCode.HOLDS, ExitCode.VIOLATED, ExitCode.UNKNOWN)


def render_console(verdict: RunVerdict, evidence: Evidence, *, file: TextIO, folder: Path | None = None) -> None:
    """Print the verdict to `file`, as wide and colourful as it can show."""
    file.write(console_text(verdict, evidence, screen=screen_of(file), folder=folder))
    file.flush()


def console_text(verdict: RunVerdict, evidence: Evidence, *, screen: Screen, folder: Path | None = None) -> str:
    """The verdict as text for this screen: table of oracles, findings, timeline, and what was not judged."""
    parts: list[RenderableType] = [
        *_head(verdict, evidence),
        Text(),
        _oracles(verdict, screen),
        *_findings(verdict.findings),
        *_section("unknown", _grouped((one.cell, one.reason) for one in _unknown(verdict.cells)), "yellow"),
        *_section(
            "timeline", [Text(line) for line in timeline(evidence, width=screen.width, glyphs=screen.glyphs)], indent=0
        ),
        *_section("not judged", _grouped((one.cell, one.reason) for one in verdict.not_judged), "dim"),
        *_section("notes", [_plain(note) for note in _notes(verdict, evidence)]),
    ]
    if folder is not None:
        parts += [Text(), *_last(verdict, evidence, folder)]
    return screen.text(*parts)


def _last(verdict: RunVerdict, evidence: Evidence, folder: Path) -> Iterator[Text]:
    """The verdict once more, where the eye is when a long report has scrolled by, and where everything is."""
    told = Text(verdict.verdict.value, style=VERDICT_STYLES[verdict.verdict])
    if why := headline(verdict, evidence):
        told.append(f": {why}", style="not bold default")
    yield told
    yield _plain(f"everything about this run is in {folder}")


def _head(verdict: RunVerdict, evidence: Evidence) -> Iterator[Text]:
    head = Text(f"{one_line(verdict.scenario)}: ", style="bold")
    head.append(verdict.verdict.value, style=VERDICT_STYLES[verdict.verdict])
    meaning = "" if verdict.exit_code in _SELF_EXPLAINING else f", {exit_meaning(verdict.exit_code)}"
    head.append(f"  exit {verdict.exit_code}{meaning}", style="not bold")
    yield head
    answers = count_answers(evidence.operations)
    told = f"{count_of(answers.total, 'operation')}: {answers.ok} ok, {answers.errors} errors, {answers.unanswered} unanswered"
    lasted = seconds(evidence, evidence.end_ns) or 0.0
    defects = f" · defects {', '.join(evidence.plan.defects)}" if evidence.plan.defects else ""
    yield _plain(f"{told} · {lasted:.0f} s · seed {evidence.plan.scenario.seed}{defects}", style="dim")
    yield from (_plain(line, style="dim") for line in second_runs(evidence))
    if evidence.end_how != "complete":
        by = f" by {evidence.interrupted_by}" if evidence.interrupted_by else ""
        reason = evidence.end_error or evidence.aborted
        why = f": {reason}" if reason else ""
        yield _plain(f"the run {_ENDED.get(evidence.end_how, evidence.end_how)}{by}{why}", style="bold red")


def _oracles(verdict: RunVerdict, screen: Screen) -> Table:
    rows = oracle_rows(verdict)
    table = Table(
        box=box.SIMPLE_HEAD if screen.terminal and screen.unicode else None,
        pad_edge=False,
        show_edge=False,
        padding=(0, _GAP, 0, 0),
        header_style="dim" if screen.terminal else "",
    )
    # Widths are ours: left to itself, the table narrows the short columns for the sake of a long reason.
    widths = {
        "oracle": min(max([len(row.oracle) for row in rows] + [6]), 18),
        "verdict": 10,
        "cells": max([len(row.cells) for row in rows] + [5]),
    }
    widths["why"] = max(screen.width - sum(width + _GAP for width in widths.values()) - _GAP, 20)
    for name, width in widths.items():
        table.add_column(name, width=width, no_wrap=True, overflow="ellipsis")
    for row in rows:
        verdict_name = Text(row.verdict.value, style=VERDICT_STYLES[row.verdict])
        table.add_row(_plain(row.oracle), verdict_name, row.cells, _plain(row.reason))
    return table


def _findings(findings: Sequence[Finding]) -> Iterator[RenderableType]:
    if not findings:
        return
    yield from (Text(), Text(count_findings(findings), style="bold"))
    found = causes(findings)
    for number, one in enumerate(found[:_MOST_CAUSES], start=1):
        if number > 1:
            yield Text()
        grid = Table.grid(padding=(0, 1, 0, 0))
        grid.add_column(justify="right", min_width=2, no_wrap=True)
        grid.add_column(overflow="fold")
        grid.add_row(Text(str(number), style="bold red"), _plain(one.text, style="bold"))
        grid.add_row("", _facts(one))
        yield grid
    if len(found) > _MOST_CAUSES:
        yield Padding(_plain(f"and {count_of(len(found) - _MOST_CAUSES, 'more cause')} in summary.md"), (0, 0, 0, 3))


def _facts(cause: Cause) -> Table:
    one = cause.first
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    fault = " on ".join(part for part in (one.fault, one.link) if part)
    facts = {
        "oracle": f"{one.oracle}, {count_of(one.count, 'operation')}{_said(one)}",
        "fault" if one.fault else "link": fault,
        "operation": " ".join(part for part in (one.signature, one.operation) if part),
        "trace": one.trace_id or "",
        "expected": one.expected,
        "seen": one.seen,
        "look at": one.where,
    }
    for name, value in facts.items():
        if value:
            grid.add_row(name, _plain(value))
    for at, fact in enumerate(one.evidence[-_LAST_FACTS:]):
        grid.add_row("" if at else "evidence", _plain(fact))
    others = cause.findings[1:]
    for at, other in enumerate(others[:_MOST_OTHERS]):
        grid.add_row("" if at else "also", _plain(_other(other, one)))
    if len(others) > _MOST_OTHERS:
        grid.add_row("", _plain(f"and {len(others) - _MOST_OTHERS} more in summary.md"))
    return grid


def _said(one: Finding) -> str:
    return f", {told}" if (told := confirmation(one)) else ""


def _other(one: Finding, first: Finding) -> str:
    """What tells a finding from the one shown whole."""
    fault = f", {one.fault} on {one.link}" if (one.fault, one.link) != (first.fault, first.link) else ""
    whose = ".".join(part for part in (one.workload, one.signature) if part)
    return f"{one.oracle}, {count_of(one.count, 'operation')}{f' of {whose}' if whose else ''}{fault}{_said(one)}"


def _unknown(cells: Sequence[CellVerdict]) -> list[CellVerdict]:
    return [one for one in cells if one.verdict is Verdict.UNKNOWN]


def _grouped(cells: Iterable[tuple[Cell, str]]) -> list[Text]:
    """One line per reason: which cells it holds for, shortly, and why."""
    reasons: dict[str, list[Cell]] = {}
    for cell, reason in cells:
        reasons.setdefault(one_line(reason), []).append(cell)
    return [_plain(f"{_cells(of)}: {reason}") for reason, of in reasons.items()]


def _cells(cells: Sequence[Cell]) -> str:
    if len(cells) == 1:
        return cells[0].id
    oracles = list(dict.fromkeys(cell.oracle for cell in cells))
    return f"{shorten(', '.join(oracles), 48)} ({count_of(len(cells), 'cell')})"


def _notes(verdict: RunVerdict, evidence: Evidence) -> list[str]:
    # How a failed run ended stands in the head already.
    told = f"the run ended as {evidence.end_how}: {evidence.end_error}" if evidence.end_error else None
    return [note for note in dict.fromkeys([*verdict.notes, *evidence.notes]) if note != told]


def _section(title: str, lines: Sequence[Text], style: str = "", *, indent: int = 2) -> Iterator[RenderableType]:
    if not lines:
        return
    yield from (Text(), Text(title, style="bold"))
    most = len(lines) if not indent else _MOST_LINES
    for line in lines[:most]:
        line.stylize(style)
        yield Padding(line, (0, 0, 0, indent))
    if len(lines) > most:
        yield Padding(_plain(f"and {len(lines) - most} more in summary.md", style=style), (0, 0, 0, indent))


def _plain(text: str, style: str = "") -> Text:
    """Text of others: shown as it is, never read as markup, and unable to move the cursor."""
    return Text(one_line(text), style=style)
