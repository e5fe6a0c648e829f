"""The final table on a terminal and off it."""

from __future__ import annotations

import io
import re
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from rich.cells import cell_len

from chaos.engine import load_plan, shipped_scenarios
from chaos.model.verdict import Verdict
from chaos.reports import Screen, console_text, plan_text, render_console, screen_of
from chaos.reports.text import one_line
from tests.documents import ROOT
from tests.journal.build import sample_plan
from tests.reports.build_hostile import hostile_evidence, hostile_verdict
from tests.reports.build_verdict import sample_evidence, sample_finding, sample_verdict
from tests.reports.hostile import texts

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def _plain(**more: object) -> str:
    file = io.StringIO()
    render_console(sample_verdict(), sample_evidence(), file=file, **more)  # type: ignore[arg-type]
    return file.getvalue()


def test_every_oracle_has_a_row() -> None:
    """One row with verdict, how many cells made it, and one line of reason."""
    lines = _plain().splitlines()
    assert lines[0] == "quickstart: VIOLATED  exit 1"
    start = lines.index("oracle       verdict     cells   why")
    rows = [line.split()[0] for line in lines[start + 1 : lines.index("1 finding") - 1]]
    assert rows == ["bounded", "error-class", "injected", "cause-kept", "healed", "recovers", "isolation"]
    assert lines[start + 2].startswith("error-class  VIOLATED    1 of 2  api answered 500 internal")


def test_a_finding_names_everything() -> None:
    """Cause, operation, trace, link, fault, what was expected and seen, and where to look."""
    text = _plain(folder=Path("reports/run-1"))
    for part in (
        "gateway-63",
        "0af7651916cd43dd8448eb211c80319c",
        "provider-gone on gateway>provider",
        "502, 503 or 504",
        "logs/api.log",
    ):
        assert part in text
    assert text.endswith("everything about this run is in reports/run-1\n")


def test_not_judged_is_short() -> None:
    """Cells with the same reason share a line."""
    assert "  bounded, error-class, isolation (3 cells): no route of gateway uses agent>nats\n" in _plain()


def test_off_a_terminal_there_are_no_colours_and_no_boxes() -> None:
    """Plain lines: no escape, no rule, no trailing blank."""
    text = _plain()
    assert "\x1b" not in text
    assert not re.search(r"[─━│┃┌┐]{4,}.*oracle|oracle.*\n.*[─━]{20,}", text)
    assert all(line == line.rstrip() for line in text.splitlines())


def test_a_terminal_gets_colours() -> None:
    """Verdicts are coloured, and the width is the terminal's."""
    text = console_text(sample_verdict(), sample_evidence(), screen=Screen(terminal=True, width=80))
    assert "\x1b[" in text
    assert all(cell_len(_COLOUR.sub("", line)) <= 80 for line in text.splitlines())


def test_a_screen_without_unicode_gets_ascii() -> None:
    """Bars, sparklines and ellipses have ASCII forms; what has none is a question mark."""
    file = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    render_console(sample_verdict(sample_finding("naïve 漢字")), sample_evidence(), file=file)
    assert isinstance(file.buffer, io.BytesIO)
    text = file.buffer.getvalue().decode("ascii")
    assert "na?ve ??" in text
    assert "####" in text


def test_many_causes_end_in_a_pointer() -> None:
    """Twenty are shown, the rest counted."""
    findings = tuple(msgspec.structs.replace(sample_finding(f"cause {n}"), link=f"a{n}>b") for n in range(25))
    text = console_text(sample_verdict(*findings), sample_evidence(), screen=Screen())
    assert "25 findings\n" in text
    assert "\n   and 5 more causes in summary.md\n" in text


def test_findings_with_the_same_cause_are_told_once() -> None:
    """The first whole, the others by what tells them apart."""
    first = sample_finding()
    second = msgspec.structs.replace(first, oracle="cause-kept", signature="stream", count=3, link="a>b")
    text = console_text(sample_verdict(first, second), sample_evidence(), screen=Screen(width=110))
    assert "2 findings with 1 cause\n" in text
    assert "also       cause-kept, 3 operations of gateway.stream, provider-gone on a>b\n" in text


def test_the_end_says_the_verdict_again() -> None:
    """Where the eye is after a long report: the verdict, its first cause, how many others, and the folder."""
    text = _plain(folder=Path("reports/run-1"))
    verdict = "VIOLATED: api answered 500 internal without naming the dependency while provider refused connections"
    assert " ".join(text.splitlines()[-3:-1]) == verdict


def test_evidence_ends_with_the_answer() -> None:
    """Of long evidence the end is shown: what came back, and from where."""
    long = msgspec.structs.replace(sample_finding(), evidence=tuple(f"+{n}ms step" for n in range(12)))
    text = console_text(sample_verdict(long), sample_evidence(), screen=Screen())
    assert "+11ms step" in text
    assert "+7ms step" not in text


@given(texts)
@settings(max_examples=120)
def test_hostile_text_moves_nothing(text: str) -> None:
    """Off a terminal: at most 80 columns, no control character; on one, no escape but our own colours."""
    verdict, evidence = hostile_verdict(text), hostile_evidence(text)
    plain = console_text(verdict, evidence, screen=Screen())
    assert all(cell_len(line) <= 80 for line in plain.splitlines())
    coloured = console_text(verdict, evidence, screen=Screen(terminal=True))
    for shown in (plain, _COLOUR.sub("", coloured)):
        assert not any((ord(char) < 32 and char != "\n") or 0x7F <= ord(char) < 0xA0 for char in shown)
        assert "\u202e" not in shown
    assert "".join(one_line(text).split()) in "".join(plain.split())


@pytest.mark.parametrize("verdict", list(Verdict))
def test_a_run_without_cells_is_still_told(verdict: Verdict) -> None:
    """A run that broke off before anything was judged says how it ended."""
    notes = ("the run ended as failed: no postgres here", "another note")
    empty = msgspec.structs.replace(
        sample_verdict(), verdict=verdict, cells=(), not_judged=(), exit_code=5, notes=notes
    )
    broken = msgspec.structs.replace(
        sample_evidence(), phases=(), operations=(), end_how="failed", end_error="no postgres here"
    )
    text = console_text(empty, broken, screen=Screen(), folder=Path("reports/run-1"))
    assert "exit 5, the environment was not ready" in text
    assert "the run failed: no postgres here" in text
    assert "another note" in text
    assert "ended as failed" not in text  # once is enough
    assert ("UNKNOWN: no postgres here\n" in text) == (verdict is Verdict.UNKNOWN)


def test_a_plan_tells_what_when_and_where() -> None:
    """Workloads, the timeline, faulted links with who uses them, and what would be judged."""
    text = plan_text(sample_plan(), screen=Screen())
    assert "+2s       for 3s  provider-gone: refuse on gateway>provider" in text
    assert "agent>nats        tcp   used by no workload: its faults cannot be judged" in text
    assert all(len(line) <= 80 for line in text.splitlines())


def test_a_plan_tells_how_far_faults_reach() -> None:
    """Services and operations of each fault, and how much fault there is of what is allowed."""
    text = plan_text(load_plan("smoke"), screen=Screen())
    assert "felt by gateway; through them agent, rag, api" in text
    assert "rag.ask" in text
    assert re.search(r"at once +\d+ +of 32 pairs of a fault and a link", text)
    assert "abort     never" in text
    assert all(len(line) <= 80 for line in text.splitlines())


@pytest.mark.parametrize(
    "name", [*shipped_scenarios(), *map(str, sorted((ROOT / "docs/examples").glob("*/flawed.yaml")))]
)
def test_a_plan_names_the_line_for_everything_that_is_not_judged(name: str) -> None:
    """Each reason once, whatever the number of workloads, with a line that would enable it; within 80 columns."""
    plan = load_plan(name)
    text = plan_text(plan, screen=Screen())
    assert all(len(line) <= 80 for line in text.splitlines())
    _, _, skipped = text.partition("\nnot judged\n")
    assert sum(int(count) for count in re.findall(r"^  (\d+) cells?  ", skipped, re.MULTILINE)) == len(plan.not_judged)
    assert (
        skipped.count("\n  because ")
        == skipped.count("\n  to judge ")
        == len(re.findall(r"^  \d+ cells?  ", skipped, re.MULTILINE))
    )
    assert all(one.enable for one in plan.not_judged)


def test_a_closed_file_is_no_terminal() -> None:
    """A stream without a descriptor, or a closed one, gets plain lines."""
    closed = io.StringIO()
    closed.close()
    assert screen_of(closed) == Screen()
