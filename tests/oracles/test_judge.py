"""The verdict on a run: crashes, notes, exit codes, and the laws of evidence."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaos.model.event import EvidenceLost, ProcessExited
from chaos.model.evidence import Evidence
from chaos.model.operation import Answer, Operation, Unmet
from chaos.model.verdict import Cell, CellVerdict, Verdict
from chaos.oracles import ORACLES, judge
from chaos.oracles.case import Case
from chaos.oracles.oracle import Oracle
from tests.oracles.build import (
    NO_ANSWER,
    OK,
    cell,
    driver_error,
    error,
    fault,
    operation,
    plan,
    probes,
    run,
    steady_load,
    with_fault,
)

FAULTS = (fault(), fault("latency", "rag>postgres", name="slow", latency=100))
GOOD = run(plan(*FAULTS), *steady_load(10, 20), *steady_load(20, 26, error()), *probes())


def test_a_good_run_holds() -> None:
    """Every cell has its evidence."""
    verdict = judge(GOOD)
    assert {one.cell.id: one.reason for one in verdict.cells if one.verdict is not Verdict.HOLDS} == {}
    assert (verdict.verdict, verdict.exit_code, verdict.findings) == (Verdict.HOLDS, 0, ())


def test_a_run_that_never_started_is_unknown() -> None:
    """No evidence, no green."""
    verdict = judge(Evidence(run_id="r", plan=plan(fault())))
    assert {one.verdict for one in verdict.cells} == {Verdict.UNKNOWN}
    assert verdict.exit_code == 3


def test_a_crashed_oracle_hides_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is UNKNOWN with its error attached, and the run is not green."""

    def crash(case: Case, cell: Cell) -> CellVerdict:
        raise ZeroDivisionError("no luck")

    broken = Oracle(name="bounded", summary="", timing=False, needs="", cells=lambda _: (), judge=crash)
    names = {one.name: one for one in ORACLES}
    monkeypatch.setattr("chaos.oracles.registry.ORACLES", tuple({**names, "bounded": broken}.values()))
    verdict = judge(GOOD)
    crashed = cell(verdict, "bounded/broken/rag")
    assert (crashed.verdict, "ZeroDivisionError: no luck" in (crashed.error or "")) == (Verdict.UNKNOWN, True)
    assert cell(verdict, "error-class/broken/rag").verdict is Verdict.HOLDS
    assert verdict.exit_code == 3


def test_evidence_that_breaks_an_index_breaks_only_what_needs_it() -> None:
    """A fault on a link that the map does not have: healed does not look at it."""
    what = plan(fault())
    scenario = msgspec.structs.replace(
        what.scenario, links=msgspec.structs.replace(what.scenario.links, links=what.links[:1])
    )
    verdict = judge(run(msgspec.structs.replace(what, scenario=scenario), *steady_load(10, 26)))
    assert cell(verdict, "injected/broken/all").error
    assert cell(verdict, "healed/none/all").verdict is Verdict.HOLDS


def test_an_oracle_of_another_version_is_unknown() -> None:
    """A stored run may ask for what this version has not."""
    what = msgspec.structs.replace(plan(fault()), cells=(Cell(oracle="atomic"),))
    assert "no oracle 'atomic'" in judge(run(what)).cells[0].reason


def test_interrupted_runs_are_judged_and_exit_so() -> None:
    """What is there is judged; 130 and 143 win over the verdict."""
    ended = msgspec.structs.replace(GOOD, interrupted_by="SIGTERM", end_how="interrupted")
    verdict = judge(ended)
    assert (verdict.exit_code, cell(verdict, "error-class/broken/rag").verdict) == (143, Verdict.HOLDS)
    assert any("SIGTERM" in note for note in verdict.notes)


def test_notes_tell_what_a_reader_should_know() -> None:
    """Each once."""
    odd = msgspec.structs.replace(
        GOOD,
        notes=("healing was slow", "healing was slow"),
        exits=(ProcessExited(t_ns=1, name="rag", code=-9, expected=False),),
        lost=(EvidenceLost(t_ns=1, what="wire", count=4),),
        clock_stepped_ms=70.0,
    )
    text = "\n".join(judge(odd).notes)
    assert text.count("healing was slow") == 1
    assert "rag exited with -9" in text
    assert "evidence lost (4): wire" in text
    assert "clock stepped by 70 ms" in text


@pytest.mark.parametrize("how", ["cut off", "failed"])
def test_a_run_that_broke_off_holds_nothing(how: str) -> None:
    """Operations may be missing."""
    verdict = judge(msgspec.structs.replace(GOOD, end_how=how))
    by_oracle = {one.cell.oracle: one.verdict for one in verdict.cells}
    assert verdict.exit_code == 3
    assert {by_oracle[name] for name in ("bounded", "error-class", "ok-means-ok", "recovers")} == {Verdict.UNKNOWN}


def test_judging_is_a_function_of_the_evidence() -> None:
    """The same evidence, the same verdict, to the byte."""
    assert msgspec.json.encode(judge(GOOD)) == msgspec.json.encode(judge(GOOD))


def test_finding_ids_hold_no_times() -> None:
    """The same defect on another night has the same id."""
    ids = {
        one.id
        for at_s in (22.05, 23.05)
        for one in judge(add(GOOD, operation(at_s, error(500)))).findings
        if one.oracle == "error-class"
    }
    assert len(ids) == 2  # one for each fault's cell


def add(evidence: Evidence, *more: Operation) -> Evidence:
    """The evidence with further operations."""
    return msgspec.structs.replace(evidence, operations=evidence.operations + more)


def ranks(evidence: Evidence) -> dict[str, Verdict]:
    """Verdicts by cell."""
    return {one.cell.id: one.verdict for one in judge(evidence).cells}


LYING = Unmet(check="digest", expected="a digest", seen="''")
ANSWERS = st.sampled_from(
    [OK, NO_ANSWER, driver_error(), error(500, dependency=None), error(503), error(504), error(422, "invalid_request")]
)
OPERATIONS = st.builds(
    lambda at, answer, took, lies: operation(at, answer, took_ms=took, unmet=(LYING,) if lies and answer is OK else ()),
    st.floats(min_value=10, max_value=35),
    ANSWERS,
    st.sampled_from([20.0, 500.0, 2500.0]),
    st.booleans(),
)


@settings(max_examples=30)
@given(base=st.lists(OPERATIONS, max_size=40), more=st.lists(OPERATIONS, min_size=1, max_size=5))
def test_more_operations_never_clear_a_violation(base: list[Operation], more: list[Operation]) -> None:
    """A cell judged operation by operation stays VIOLATED, whatever else happens."""
    before = ranks(add(GOOD, *base))
    after = ranks(add(GOOD, *base, *more))
    per_operation = [
        one
        for one, verdict in before.items()
        if verdict is Verdict.VIOLATED and not one.startswith(("recovers", "steady"))
    ]
    assert all(after[one] is Verdict.VIOLATED for one in per_operation)


@settings(max_examples=30)
@given(base=st.lists(OPERATIONS, max_size=40), haze=st.integers(min_value=0, max_value=5))
def test_less_evidence_never_makes_a_cell_hold(base: list[Operation], haze: int) -> None:
    """Lost records, a stepped clock, a fault without onset, end or proof: HOLDS may go, it never comes."""
    whole = add(GOOD, *base)
    hazy = [
        msgspec.structs.replace(whole, wire=()),
        msgspec.structs.replace(whole, clock_stepped_ms=100.0),
        msgspec.structs.replace(whole, lost=(EvidenceLost(t_ns=0, what="operations", count=1),)),
        with_fault(whole, how="lease"),
        msgspec.structs.replace(whole, end_how="cut off"),
        msgspec.structs.replace(whole, refusals=()),
    ][haze]
    before, after = ranks(whole), ranks(hazy)
    assert not [one for one in after if after[one] is Verdict.HOLDS and before[one] is not Verdict.HOLDS]


@settings(max_examples=20)
@given(violation=st.sampled_from([error(500), driver_error(), NO_ANSWER]), at=st.floats(min_value=20.1, max_value=25.9))
def test_one_violation_is_never_outvoted(violation: Answer, at: float) -> None:
    """Any number of good operations beside it, and the run does not hold."""
    assert judge(add(GOOD, operation(at, violation))).verdict is Verdict.VIOLATED
