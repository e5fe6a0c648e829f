"""bounded: answered by D + max(100 ms, 0.1 D), measured fairly."""

from __future__ import annotations

import pytest

from chaos.model.operation import Answer, Operation
from chaos.model.verdict import CellVerdict, Verdict
from tests.oracles.build import (
    ACCEPTED,
    NO_ANSWER,
    OK,
    driver_error,
    error,
    fault,
    judged,
    lag,
    operation,
    plan,
    run,
    steady_load,
)

UNDER = "bounded/broken/rag"
AROUND = steady_load(20, 26)


def under(*operations: Operation, **fields: object) -> CellVerdict:
    """The cell of a refused provider, with these operations among good ones."""
    return judged(run(plan(fault()), *AROUND, *operations, **fields), UNDER)


@pytest.mark.parametrize(("took_ms", "undecided"), [(50, 0), (2200, 0), (2201, 2)])
@pytest.mark.parametrize("answer", [OK, error(504)])
def test_the_bound_is_d_plus_slack(took_ms: float, answer: Answer, undecided: int) -> None:
    """D is 2 s, slack is max(100 ms, 200 ms); errors must be in time, too. Late answers wait for a second run's word."""
    verdict = under(*(operation(at_s, answer, took_ms=took_ms) for at_s in (22.05, 22.15)))
    assert (verdict.undecided, verdict.verdict) == (undecided, Verdict.UNKNOWN if undecided else Verdict.HOLDS)
    assert not undecided or "no second run has confirmed it" in verdict.reason


def test_a_late_start_is_the_drivers() -> None:
    """Intended a second before it started: the system got its budget at the start."""
    assert under(operation(22.05, took_ms=2100, late_ms=1000)).verdict is Verdict.HOLDS


def test_no_answer_is_a_finding_that_a_person_understands() -> None:
    """Cause in one line, the fault's link, where to look."""
    verdict = under(operation(22.05, NO_ANSWER))
    (finding,) = verdict.findings
    assert verdict.verdict is Verdict.VIOLATED
    assert finding.error_class == "no-answer"
    assert finding.cause == "rag.ask got no answer (D is 2s) while provider refused connections"
    assert (finding.fault, finding.link, finding.count) == ("broken", "gateway>provider", 1)
    assert "gateway" in finding.where
    assert finding.confirmed is None


def test_the_same_cause_is_one_finding() -> None:
    """Thirty operations without an answer are one finding with a count; a late one is none."""
    verdict = under(*steady_load(20.01, 23.01, NO_ANSWER), operation(22.05, took_ms=3000))
    assert {one.error_class: one.count for one in verdict.findings} == {"no-answer": 30}
    assert (verdict.violated, verdict.undecided) == (30, 1)


def test_one_late_answer_is_tolerated() -> None:
    """One undecided operation leaves a cell that holds otherwise."""
    assert under(operation(22.05, took_ms=2300)).verdict is Verdict.HOLDS


def test_an_answer_measured_in_time_is_in_time_beside_a_lag() -> None:
    """A lag makes nothing earlier."""
    assert under(lags=(lag(21, 3000),)).undecided == 0


def test_a_short_lag_cannot_hide_an_answer_that_never_came() -> None:
    """The driver waits 1.8 s longer than the bound."""
    assert under(operation(22.05, NO_ANSWER), lags=(lag(23, 300),)).verdict is Verdict.VIOLATED
    assert under(operation(22.05, NO_ANSWER), lags=(lag(23, 1900),)).undecided == 1


def test_in_flight_at_an_interrupt_is_undecided() -> None:
    """Its wait was cut off: nobody knows whether an answer would have come."""
    waiting = (operation(25.95, NO_ANSWER), operation(25.98, NO_ANSWER))
    verdict = under(*waiting, interrupted_by="SIGINT", end_how="interrupted")
    assert (verdict.verdict, verdict.undecided) == (Verdict.UNKNOWN, 2)


def test_waited_out_before_an_interrupt_is_violated() -> None:
    """The driver saw answers to others long after this one's bound."""
    verdict = under(operation(22.05, NO_ANSWER), interrupted_by="SIGINT", end_how="interrupted")
    assert verdict.verdict is Verdict.VIOLATED


def test_a_clock_step_decides_nothing() -> None:
    """Neither HOLDS nor VIOLATED rests on a clock that stepped."""
    for extra in ((), (operation(22.05, NO_ANSWER),)):
        verdict = under(*extra, clock_stepped_ms=51.0)
        assert verdict.verdict is Verdict.UNKNOWN
        assert "clock stepped" in verdict.reason


def test_a_failure_at_the_driver_in_time_is_bounded() -> None:
    """A closed connection ends the operation: what kind of answer that is, error-class says."""
    assert under(operation(22.05, driver_error())).verdict is Verdict.HOLDS


QUEUED = steady_load(20, 26, workload="agent", took_ms=300)


def tasks(*operations: Operation, link: str = "gateway>provider") -> CellVerdict:
    """Tasks on a queue, D 10 s, under a fault on that link."""
    return judged(run(plan(fault("refuse", link), workloads=("agent",)), *QUEUED, *operations), "bounded/broken/agent")


def test_accepted_work_must_be_completed() -> None:
    """A PubAck without a completion by the end of the wait."""
    (finding,) = tasks(operation(22.05, ACCEPTED, workload="agent")).findings
    assert finding.error_class == "never-completed"
    assert finding.cause == "agent.task was accepted and never completed (D is 10s) while provider refused connections"


def test_a_late_refusal_of_accepted_work_is_late() -> None:
    """deadline_exceeded after D keeps no deadline."""
    refused = error(504, "deadline_exceeded", None)
    late = [operation(at_s, refused, workload="agent", took_ms=11_500) for at_s in (22.05, 22.15)]
    verdict = tasks(*late)
    assert (verdict.verdict, verdict.undecided) == (Verdict.UNKNOWN, 2)
    assert "completed with 504 deadline_exceeded" in verdict.reason


def test_a_consumer_that_had_time_to_come_back_must_complete() -> None:
    """Its NATS link was healed, and a quarter of D was left after settle."""
    assert tasks(operation(20.0, ACCEPTED, workload="agent"), link="agent>nats").verdict is Verdict.VIOLATED
    cut = operation(18.0, ACCEPTED, workload="agent")  # 26 s - 18 s leaves 2 s of 10 s
    assert tasks(cut, link="agent>nats").verdict is Verdict.HOLDS


def test_quiet_time_is_judged() -> None:
    """A defect that is there all the time shows in the cell without a fault."""
    evidence = run(plan(fault()), *steady_load(10, 19), operation(15.05, NO_ANSWER))
    (finding,) = judged(evidence, "bounded/none/rag").findings
    assert finding.cause == "rag.ask got no answer (D is 2s) with no fault near"
    assert finding.link is None
