"""A drill ends in a judged record whatever goes wrong, a mistake of ours included."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from chaos.engine import Outcome, load_plan, run_drill
from chaos.errors import JournalError, NotReadyError
from chaos.journal import list_runs
from chaos.model.event import AnyEvent, PhaseStarted, RunStarted
from chaos.model.verdict import Verdict
from chaos.oracles import judge
from tests.oracles.build import plan, run


def test_a_crash_of_the_conductor_is_recorded_and_judged(tmp_path: Path) -> None:
    """Nobody sees a traceback: it stands in a log, the record says why, the verdict is no green one."""

    def broken(event: AnyEvent) -> None:
        if isinstance(event, PhaseStarted):
            raise ZeroDivisionError("no luck")

    outcome = run_drill(load_plan("smoke"), out=tmp_path, listener=broken)
    assert outcome.evidence.end_how == "failed"
    assert "ZeroDivisionError: no luck" in (outcome.evidence.end_error or "")
    assert "Traceback" in (outcome.folder / "logs" / "conductor.log").read_text()
    assert json.loads((outcome.folder / "verdict.json").read_text())["exit_code"] == outcome.exit_code == 5


def test_an_error_before_the_first_record_starts_nothing(tmp_path: Path) -> None:
    """There is no run to judge yet: the error comes out, and no process was started."""

    def broken(event: AnyEvent) -> None:
        assert isinstance(event, RunStarted)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_drill(load_plan("smoke"), out=tmp_path, listener=broken)
    assert [one.name for one in list_runs(tmp_path)[0].iterdir() if one.name == "logs"] == []


def test_a_place_that_takes_no_record_starts_nothing(tmp_path: Path) -> None:
    """The error names the place."""
    (tmp_path / "file").touch()
    with pytest.raises(JournalError, match="no run can be kept here"):
        run_drill(load_plan("smoke"), out=tmp_path / "file")


def test_a_variable_that_is_not_set_leaves_no_run_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is nothing to be read in one."""
    (tmp_path / "drill.yaml").write_text(
        """
name: drill
system: {services: {orders: {command: "true", calls: {postgres: URL}}}, postgres: "postgres://u:${CHAOS_TEST_PW}@127.0.0.1/db"}
workloads: [{kind: http, to: orders, rate: 9/s, operations: {a: {request: GET /}}}]
timeline: {faults: [{fault: refuse, on: driver>orders, for: 4s}]}
"""
    )
    monkeypatch.setenv("CHAOS_TEST_PW", "x")
    found = load_plan(str(tmp_path / "drill.yaml"))
    monkeypatch.delenv("CHAOS_TEST_PW")
    with pytest.raises(NotReadyError, match="postgres needs the variable CHAOS_TEST_PW, which is not set: export it"):
        run_drill(found, out=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("exit_code", "unwritten", "code"), [(0, None, 0), (0, "no room", 5), (1, "no room", 1), (130, "no room", 130)]
)
def test_green_without_its_reports_is_not_green(
    tmp_path: Path, exit_code: int, unwritten: str | None, code: int
) -> None:
    """Whoever reads junit.xml would not know of the run; a worse verdict keeps its own code."""
    evidence = run(plan())
    verdict = msgspec.structs.replace(judge(evidence), verdict=Verdict.HOLDS, exit_code=exit_code)
    assert Outcome(folder=tmp_path, evidence=evidence, verdict=verdict, unwritten=unwritten).exit_code == code
