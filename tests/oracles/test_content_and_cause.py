"""ok-means-ok and cause-kept: what an answer says is true."""

from __future__ import annotations

import pytest

from chaos.model.operation import Answer, Unmet
from chaos.model.verdict import CellVerdict, Verdict
from tests.oracles.build import (
    NO_ANSWER,
    SETTINGS,
    driver_error,
    error,
    fault,
    judged,
    operation,
    plan,
    run,
    steady_load,
)

EMPTY = Unmet(check="digest", expected="the digest of nonce-1", seen="''")


def test_an_ok_answer_with_wrong_content_lies() -> None:
    """A swallowed error under 200."""
    evidence = run(plan(fault()), *steady_load(20, 26), *steady_load(20.05, 22.05, unmet=(EMPTY,)))
    verdict = judged(evidence, "ok-means-ok/broken/rag")
    (finding,) = verdict.findings
    assert (verdict.verdict, finding.error_class, finding.count) == (Verdict.VIOLATED, "digest", 20)
    assert finding.cause == "api answered ok 200, but its content is wrong (digest) while provider refused connections"
    assert (finding.expected, finding.seen) == (EMPTY.expected, EMPTY.seen)


def test_wrong_content_needs_no_fault_and_has_no_excuse() -> None:
    """In quiet time, in recovery, and behind a fault of the driver's own link."""
    for at_s in (15.05, 26.1):
        evidence = run(plan(fault()), *steady_load(10, 19), operation(at_s, unmet=(EMPTY,)))
        assert judged(evidence, "ok-means-ok/none/rag").verdict is Verdict.VIOLATED
    evidence = run(plan(fault("latency", "driver>api")), *steady_load(20, 26), operation(22, unmet=(EMPTY,)))
    assert judged(evidence, "ok-means-ok/broken/rag").verdict is Verdict.VIOLATED


def test_errors_claim_nothing() -> None:
    """They cannot lie under a success status; the reason counts them."""
    verdict = judged(run(plan(fault()), *steady_load(20, 26, error())), "ok-means-ok/broken/rag")
    assert (verdict.verdict, verdict.reason) == (Verdict.HOLDS, "60 operations; 60 not answered ok")


def cause(answer: Answer, kind: str = "refuse", *links: str, workload: str = "rag", **expect: object) -> CellVerdict:
    """cause-kept of a fault with one such answer among good ones."""
    evidence = run(
        plan(fault(kind, *links), workloads=(workload,), **expect),
        *steady_load(20, 26, workload=workload),
        operation(22.05, answer, workload=workload),
    )
    return judged(evidence, f"cause-kept/broken/{workload}")


@pytest.mark.parametrize(
    ("kind", "answer", "error_class"),
    [
        ("refuse", error(503), None),
        ("refuse", error(502), None),
        ("refuse", error(504), None),
        ("latency", error(504), None),
        ("latency", error(502), "wrong-class"),
        ("latency", error(504, "deadline_exceeded", None), None),  # a budget ran out: nobody to name
        ("latency", error(504, "deadline_exceeded", "provider"), None),
        ("refuse", error(500, dependency=None), "cause-lost"),
        ("refuse", error(500), "wrong-class"),  # names it, says nothing
        ("refuse", error(503, "internal"), "wrong-class"),
        ("refuse", error(503, "Exception"), "wrong-class"),
        ("refuse", error(503, dependency=None), "cause-lost"),
        ("refuse", error(503, dependency="postgres"), "wrong-dependency"),
        ("refuse", error(503, dependency="rag"), "wrong-dependency"),
        ("latency", error(504, dependency="gateway"), None),  # lost patience on the way, and says with whom
        ("latency", error(503, dependency="gateway"), "wrong-dependency"),  # not a timeout
        ("refuse", error(503, "upstream_down"), None),  # a code of the user's own: its status is the class
        ("refuse", error(422, "invalid_request", None), "cause-lost"),
    ],
)
def test_an_error_names_what_failed_and_how(kind: str, answer: Answer, error_class: str | None) -> None:
    """The callee of a faulted link, and a class that the fault can produce."""
    assert [one.error_class for one in cause(answer, kind).findings] == ([error_class] if error_class else [])


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        ("refuse", error(504, "deadline_exceeded", None)),  # nothing was slow
        ("latency", error(504, dependency="postgres")),  # not on the way
    ],
)
def test_a_timeout_that_names_the_wrong_one_needs_a_second_run(kind: str, answer: Answer) -> None:
    """A service's own timeout fires sooner on a slow machine: it is undecided, not a finding."""
    verdict = cause(answer, kind)
    assert (verdict.undecided, verdict.findings) == (1, ())
    assert "no second run has confirmed it" in verdict.reason


def test_the_reason_counts_who_lost_patience_on_the_way() -> None:
    """It holds, and is not hidden."""
    assert "1 timed out on the way" in cause(error(504, dependency="gateway"), "hang").reason


def test_a_cut_on_nats_is_a_timeout_to_its_clients() -> None:
    """They do not fail pending requests when the connection goes."""
    answer = error(504, "deadline_exceeded", None)
    assert cause(answer, "refuse", "agent>nats", workload="agent").verdict is Verdict.HOLDS


def test_a_declared_refusal_names_nobody() -> None:
    """409 by declaration is the operation's own; a declared 500 still has to name its cause."""
    assert not cause(error(409, "conflict", None), statuses={"ask": (409,)}).findings
    assert cause(error(500, "internal", None), statuses={"ask": (500,)}).findings


def test_no_answer_holds_no_cause() -> None:
    """Nothing to read: undecided, and one is tolerated."""
    assert cause(NO_ANSWER).undecided == cause(driver_error()).undecided == 1


def test_errors_without_a_fault_are_not_this_oracles() -> None:
    """error-class judges them; there is no cause to keep."""
    evidence = run(plan(fault()), *steady_load(10, 19), operation(15.05, error(500)))
    verdict = judged(evidence, "cause-kept/none/rag")
    assert (verdict.verdict, verdict.population) == (Verdict.HOLDS, 90)


def test_either_fault_may_be_named() -> None:
    """Two faults concern the operation."""
    what = plan(fault(), fault("latency", "rag>postgres", name="slow"))
    evidence = run(what, *steady_load(20, 26), operation(22.05, error(504, dependency="postgres")))
    assert not judged(evidence, "cause-kept/broken/rag").findings


def test_defaults_are_those_of_the_documentation() -> None:
    """Twenty operations, 1 %, two seconds of settle, 50 ms of lag."""
    assert (SETTINGS.required_operations, SETTINGS.undecided_ratio) == (20, 0.01)
    assert (SETTINGS.settle_ms, SETTINGS.loop_lag_ms) == (2000.0, 50.0)
