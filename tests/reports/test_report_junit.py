"""junit.xml: one case per cell, well-formed with any content, never green for a run that is not."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import msgspec
import pytest
from hypothesis import given, settings

from chaos.model.verdict import Verdict
from chaos.reports import render_junit
from tests.reports.build_hostile import hostile_evidence, hostile_verdict
from tests.reports.build_verdict import sample_evidence, sample_verdict
from tests.reports.hostile import texts


def _suite(text: str) -> ET.Element:
    suite = ET.fromstring(text.encode()).find("testsuite")
    assert suite is not None
    return suite


def test_each_cell_is_a_case_named_by_its_id() -> None:
    """VIOLATED fails, UNKNOWN is an error, NOT JUDGED is skipped with its reason."""
    verdict = sample_verdict()
    suite = _suite(render_junit(verdict, sample_evidence()))
    names = [case.get("name") for case in suite.iter("testcase")]
    assert names == [one.cell.id for one in (*verdict.cells, *verdict.not_judged)]
    counts = {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped")}
    assert counts == {"tests": "12", "failures": "1", "errors": "2", "skipped": "3"}
    failure, skipped = suite.find(".//failure"), suite.find(".//skipped")
    assert failure is not None
    assert skipped is not None
    assert "without naming the dependency" in (failure.get("message") or "")
    assert "operation: gateway-63" in (failure.text or "")
    assert skipped.get("message") == "no route of gateway uses agent>nats; enable it with workloads: [{kind: agent}]"


@pytest.mark.parametrize(
    ("code", "verdict"), [(3, "UNKNOWN"), (4, "HOLDS"), (5, "UNKNOWN"), (6, "HOLDS"), (130, "HOLDS"), (143, "HOLDS")]
)
def test_a_run_that_does_not_exit_0_is_not_all_green(code: int, verdict: str) -> None:
    """Where no cell shows the problem, the case `run` does."""
    cells = tuple(one for one in sample_verdict().cells if one.verdict is Verdict.HOLDS)
    green = msgspec.structs.replace(sample_verdict(), cells=cells, exit_code=code, verdict=Verdict(verdict))
    suite = _suite(render_junit(green, sample_evidence()))
    (error,) = suite.iter("error")
    assert f"exit {code}" in (error.get("message") or "")
    assert suite.get("errors") == "1"


def test_a_run_that_never_came_up_says_why() -> None:
    """The message, which is what a list of failures shows, holds the reason."""
    failed = msgspec.structs.replace(sample_verdict(), cells=(), exit_code=5, verdict=Verdict.UNKNOWN)
    broken = msgspec.structs.replace(sample_evidence(), end_how="failed", end_error="postgres did not start")
    (error,) = _suite(render_junit(failed, broken)).iter("error")
    assert error.get("message") == "exit 5: the environment was not ready: postgres did not start"


def test_a_run_that_holds_is_green() -> None:
    """No case is added to a run whose cells tell everything."""
    cells = tuple(one for one in sample_verdict().cells if one.verdict is Verdict.HOLDS)
    green = msgspec.structs.replace(sample_verdict(), cells=cells, exit_code=0, verdict=Verdict.HOLDS)
    suite = _suite(render_junit(green, sample_evidence()))
    assert (suite.get("failures"), suite.get("errors")) == ("0", "0")


@given(texts)
@settings(max_examples=80)
def test_hostile_text_is_well_formed(text: str) -> None:
    """Any parser reads it, and the number of cases is that of the cells."""
    verdict = hostile_verdict(text)
    suite = _suite(render_junit(verdict, hostile_evidence(text)))
    assert len(list(suite.iter("testcase"))) == len(verdict.cells) + len(verdict.not_judged)
