"""error-class: errors have a class that the faults explain."""

from __future__ import annotations

import msgspec
import pytest

from chaos.model.event import BaselineJudged, EvidenceLost, ProcessExited, ProcessStalled
from chaos.model.operation import Answer, Operation
from chaos.model.verdict import CellVerdict, Verdict
from chaos.oracles import judge
from tests.oracles.build import (
    NO_ANSWER,
    SECOND,
    cell,
    driver_error,
    error,
    exchange,
    fault,
    judged,
    operation,
    plan,
    run,
    steady_load,
    with_fault,
)

UNDER = "error-class/broken/rag"


def under(answer: Answer, kind: str = "refuse", *links: str, **expect: object) -> CellVerdict:
    """The cell of a fault, with one such answer among good ones."""
    evidence = run(plan(fault(kind, *links), **expect), *steady_load(20, 26), operation(22.05, answer))
    touched = exchange(evidence.operations[-1], "gateway>provider", "broken")
    return judged(msgspec.structs.replace(evidence, wire=evidence.wire + touched), UNDER)


@pytest.mark.parametrize(
    ("kind", "status", "error_class"),
    [
        ("refuse", 502, None),
        ("refuse", 503, None),
        ("refuse", 504, None),
        ("hang", 504, None),
        ("latency", 504, None),
        ("latency", 503, None),
        ("latency", 502, "unexplained-502"),
        ("refuse", 500, "generic-500"),
        ("latency", 500, "generic-500"),
        ("refuse", 422, "wrong-blame"),
        ("refuse", 429, "wrong-blame"),
        ("refuse", 501, "unexplained-501"),
        ("refuse", None, "no-class"),
    ],
)
def test_faults_explain_classes(kind: str, status: int | None, error_class: str | None) -> None:
    """By the table of the kinds' effects."""
    verdict = under(error(status), kind)
    assert [one.error_class for one in verdict.findings] == ([error_class] if error_class else [])


def test_a_generic_500_reads_like_a_sentence() -> None:
    """What a person sees first."""
    (finding,) = under(error(500, dependency=None)).findings
    assert finding.cause == "api answered 500 internal without naming a dependency while provider refused connections"
    assert finding.expected == "ok, or 502, 503, 504"
    assert "+2ms gateway>provider reply aborted [broken]" in finding.evidence


@pytest.mark.parametrize(
    ("inner", "outer", "where"),
    [
        ("503", "500", "logs of api; link gateway>provider"),  # api made a 500 of it
        ("500", "500", "logs of rag; link gateway>provider"),  # rag did, api passed it on
        ("aborted", "500", "logs of api; link gateway>provider"),
    ],
)
def test_the_finding_names_the_service_that_changed_the_error(inner: str, outer: str, where: str) -> None:
    """The wire shows what came from below and what was made of it."""
    failed = operation(22.05, error(500))
    wire = (
        *exchange(failed, "gateway>provider", "broken"),
        *exchange(failed, "rag>gateway", status="503"),
        *exchange(failed, "api>rag", status=inner),
        *exchange(failed, "driver>api", status=outer),
    )
    (finding,) = judged(run(plan(fault()), *steady_load(20, 26), failed, wire=wire), UNDER).findings
    assert finding.where == where


def test_a_stream_that_began_well_does_not_hide_who_made_the_answer() -> None:
    """The gateway's 200 was on its way before the cut; api made a 500 of the 502 that told of it."""
    failed = operation(22.05, error(500))
    wire = (
        *exchange(failed, "gateway>provider", "broken"),
        *exchange(failed, "rag>gateway", status="200"),
        *exchange(failed, "api>rag", status="502"),
        *exchange(failed, "driver>api", status="500"),
    )
    (finding,) = judged(run(plan(fault()), *steady_load(20, 26), failed, wire=wire), UNDER).findings
    assert finding.where == "logs of api; link gateway>provider"


def test_a_scenario_may_declare_statuses() -> None:
    """Overrides per operation."""
    assert under(error(409), statuses={"ask": (409,)}).verdict is Verdict.HOLDS
    assert under(error(409), statuses={"other": (409,)}).verdict is Verdict.VIOLATED


def test_a_closed_connection_is_no_answer() -> None:
    """The system closed on its caller, while the fault was elsewhere."""
    (finding,) = under(driver_error("closed")).findings
    assert finding.error_class == "closed"
    assert finding.cause == "api gave no answer but closed while provider refused connections"


def test_without_an_answer_there_is_no_class() -> None:
    """Bounded judges it; two of them leave this cell UNKNOWN."""
    evidence = run(plan(fault()), *steady_load(20, 26), operation(22.01, NO_ANSWER), operation(22.02, NO_ANSWER))
    assert judged(evidence, UNDER).verdict is Verdict.UNKNOWN


def test_an_error_without_a_fault_has_no_cause() -> None:
    """Neither hit nor exposed: any error answer is wrong."""
    evidence = run(plan(fault()), *steady_load(10, 19), operation(15.05, error(503)))
    (finding,) = judged(evidence, "error-class/none/rag").findings
    assert finding.error_class == "fault-without-cause"
    assert finding.cause == "api answered 503 dependency_unavailable naming provider with no fault near"


def test_classes_are_the_union_of_all_faults_around() -> None:
    """502 is explained by the cut, in the slow fault's cell, too."""
    what = plan(fault("latency", name="slow"), fault("refuse", "rag>gateway", name="gone"))
    verdict = judged(run(what, *steady_load(20, 26), operation(22.05, error(502))), "error-class/slow/rag")
    assert not verdict.findings


def test_recovery_time_is_for_recovers_to_judge() -> None:
    """An error after settle, but before the probes passed, is no error without a cause; after them it is."""
    before = run(plan(fault()), *steady_load(10, 19), operation(26.1, error()))
    assert judged(before, "error-class/none/rag").verdict is Verdict.HOLDS
    after = run(plan(fault()), *steady_load(10, 19), operation(27.1, error()))
    assert judged(after, "error-class/none/rag").verdict is Verdict.VIOLATED
    unasked = run(plan(fault(), oracles=("error-class",)), *steady_load(10, 19), operation(26.1, error()))
    assert judged(unasked, "error-class/none/rag").verdict is Verdict.VIOLATED


def test_a_system_that_never_was_steady_is_not_blamed_for_errors() -> None:
    """The run is UNKNOWN then; wrong content is still wrong content."""
    shaky = BaselineJudged(t_ns=20 * SECOND, steady=False, reason="", operations=100)
    evidence = run(plan(fault()), *steady_load(10, 19, error(500)), baseline=shaky)
    verdict = judged(evidence, "error-class/none/rag")
    assert (verdict.verdict, verdict.undecided) == (Verdict.UNKNOWN, 90)


def test_before_the_system_was_steady_it_may_be_slow_but_not_wrong() -> None:
    """The steady windows of 5 s began at 15 s: a timeout before is warming up, an internal error is an error."""
    ready = BaselineJudged(t_ns=25 * SECOND, steady=True, reason="", operations=100)
    what = plan(fault("latency", "agent>nats"))
    timed_out = run(what, *steady_load(15, 19), operation(14.5, error(504)), baseline=ready)
    verdict = judged(timed_out, "error-class/none/rag")
    assert (verdict.violated, verdict.reason) == (0, "40 operations; 1 late before the system was steady")
    wrong = run(what, *steady_load(15, 19), operation(14.5, error(500)), baseline=ready)
    assert judged(wrong, "error-class/none/rag").violated == 1
    late = run(what, *steady_load(15, 19), operation(15.5, error(504)), baseline=ready)
    verdict = judged(late, "error-class/none/rag")
    assert (verdict.violated, verdict.undecided) == (0, 1)
    assert "no second run has confirmed it" in verdict.reason


@pytest.mark.parametrize(("status", "took_ms", "violated"), [(503, 50, 1), (503, 900, 0), (500, 900, 1)])
def test_a_503_after_a_wait_needs_a_second_run(status: int, took_ms: float, violated: int) -> None:
    """No fault is near: a pool without room in time is a slow machine's, too; what is refused at once, or told wrongly, is not."""
    verdict = judged(
        run(plan(fault()), *steady_load(10, 19), operation(15.05, error(status), took_ms=took_ms)),
        "error-class/none/rag",
    )
    assert (verdict.violated, verdict.undecided) == (violated, 1 - violated)


def test_a_fault_that_was_not_seen_to_begin_leaves_errors_undecided() -> None:
    """It may have acted all the same."""
    evidence = run(plan(fault()), *steady_load(10, 19), operation(22, error()), operation(22.1, error()), wire=())
    verdict = judge(with_fault(evidence, onset_ns=None, heal_ns=None))
    assert cell(verdict, "error-class/none/rag").verdict is Verdict.UNKNOWN
    assert cell(verdict, "error-class/broken/rag").verdict is Verdict.UNKNOWN


def errors_at(*times_s: float) -> tuple[Operation, ...]:
    """Errors among good answers before any fault."""
    return (*steady_load(10, 19), *(operation(at_s, error()) for at_s in times_s))


def test_a_store_that_died_is_not_the_systems_fault() -> None:
    """Our Postgres died at 14 s: what fails after that is undecided."""
    died = (ProcessExited(t_ns=14 * SECOND, name="postgres", code=-9, expected=False),)
    assert judged(run(plan(fault()), *errors_at(15.01, 15.02), exits=died), "error-class/none/rag").undecided == 2
    assert judged(run(plan(fault()), *errors_at(13.01), exits=died), "error-class/none/rag").violated == 1


def test_a_service_that_died_is_the_systems_fault() -> None:
    """A crash is what we look for."""
    died = (ProcessExited(t_ns=14 * SECOND, name="rag", code=-9, expected=False),)
    assert judged(run(plan(fault()), *errors_at(15.01), exits=died), "error-class/none/rag").violated == 1


def test_lost_operations_allow_no_holds() -> None:
    """One of those lost may have been wrong."""
    lost = (EvidenceLost(t_ns=0, what="operations", count=7),)
    verdict = judged(run(plan(fault()), *errors_at(), lost=lost), "error-class/none/rag")
    assert (verdict.verdict, "7 records of operations were lost" in verdict.reason) == (Verdict.UNKNOWN, True)
    assert judged(run(plan(fault()), *errors_at(15.01), lost=lost), "error-class/none/rag").violated == 1


def test_a_fault_between_us_and_the_system_excuses_what_happens_under_another() -> None:
    """driver>api was reset while the provider was slow: the reset may have been ours."""
    what = plan(fault("latency", name="slow"), fault("reset", "driver>api", name="ours"))
    evidence = run(what, *steady_load(20, 26), operation(22.01, driver_error()), operation(22.02, driver_error()))
    verdict = judged(evidence, "error-class/slow/rag")
    assert (verdict.violated, verdict.undecided) == (0, 2)


@pytest.mark.parametrize(("kept", "classes"), [(5.0, []), (None, ["retry-after-lost"])])
def test_a_429_keeps_the_retry_after_of_its_dependency(kept: float | None, classes: list[str]) -> None:
    """Where the wire shows that the dependency sent one."""
    refused = operation(22.05, msgspec.structs.replace(error(429, "rate_limited"), retry_after_s=kept))
    request, reply = exchange(refused, "gateway>provider", status="429")
    wire = (request, msgspec.structs.replace(reply, retry_after_s=5.0))
    evidence = run(plan(fault(), statuses={"ask": (429,)}), *steady_load(20, 26), refused)
    verdict = judged(msgspec.structs.replace(evidence, wire=evidence.wire + wire), UNDER)
    assert [one.error_class for one in verdict.findings] == classes


def test_what_met_a_death_before_it_was_told_is_not_the_systems_fault() -> None:
    """The record of a death is later than the death: half a second of errors before it is undecided too."""
    died = (ProcessExited(t_ns=14 * SECOND, name="proxy", code=-9, expected=False),)
    counts = judged(run(plan(fault()), *errors_at(13.9), exits=died), "error-class/none/rag")
    assert (counts.undecided, counts.violated) == (1, 0)


def test_what_overlaps_a_process_stopped_from_outside_is_not_the_systems_fault() -> None:
    """Somebody sent SIGSTOP: errors meanwhile are undecided, later ones are the system's again."""
    stalls = (ProcessStalled(t_ns=15 * SECOND, name="rag", start_ns=14 * SECOND, end_ns=15 * SECOND),)
    during = judged(run(plan(fault()), *errors_at(14.2), stalls=stalls), "error-class/none/rag")
    after = judged(run(plan(fault()), *errors_at(15.5), stalls=stalls), "error-class/none/rag")
    assert (during.undecided, during.violated) == (1, 0)
    assert after.violated == 1
