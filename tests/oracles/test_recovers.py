"""recovers: still failing, slow, or recovered."""

from __future__ import annotations

import msgspec
import pytest

from chaos.model.event import ProbesFinished
from chaos.model.operation import Operation, Unmet
from chaos.model.verdict import CellVerdict, Verdict
from tests.oracles.build import (
    ACCEPTED,
    SECOND,
    error,
    fault,
    judged,
    lag,
    operation,
    plan,
    probes,
    run,
    steady_load,
)


def recovers(*after: Operation, passed: bool, sent: int = 4, in_a_row: int = 0, **fields: object) -> CellVerdict:
    """The cell of workload rag, with a baseline of 50 ms and these probes."""
    finished = ProbesFinished(t_ns=35 * SECOND, workload="rag", passed=passed, in_a_row=in_a_row, sent=sent)
    return judged(run(plan(fault()), *steady_load(10, 20), *after, probes=(finished,), **fields), "recovers/none/rag")


def probe(at_s: float, took_ms: float = 50, **fields: object) -> Operation:
    """A good probe, unless told otherwise."""
    return operation(at_s, took_ms=took_ms, probe=True, **fields)  # type: ignore[arg-type]


GOOD = probes()
SLOW = tuple(probe(25 + i, 400) for i in range(10))


def test_recovered_tells_its_times() -> None:
    """Time to the first good answer and to steady, from healing."""
    verdict = recovers(operation(24.2), *GOOD, passed=True)
    assert verdict.verdict is Verdict.HOLDS
    assert verdict.reason == "first ok 250ms after healing, steady after 2.15s"


@pytest.mark.parametrize("answer", [error(503), error(500), ACCEPTED])
def test_still_failing_names_operation_and_answer(answer: object) -> None:
    """Rests on answers: no lag excuses it."""
    bad = tuple(probe(25 + i, answer=answer) for i in range(4))
    verdict = recovers(*bad, passed=False, lags=(lag(24, 12_000),))
    (finding,) = verdict.findings
    assert (verdict.verdict, finding.error_class, finding.signature, finding.count) == (
        Verdict.VIOLATED,
        "still-failing",
        "ask",
        4,
    )
    assert finding.cause.startswith("rag.ask was still failing 10s after healing: ")
    assert verdict.reason.startswith("still failing: ask 10s after healing")


def test_wrong_content_is_failing() -> None:
    """Ok with nothing in it is no recovery."""
    empty = Unmet(check="digest", expected="a digest", seen="''")
    (finding,) = recovers(*(probe(25 + i, unmet=(empty,)) for i in range(4)), passed=False).findings
    assert "its content wrong (digest)" in finding.cause


def test_slow_is_told_apart() -> None:
    """Right, but not at baseline speed: p50 x 3 is 150 ms."""
    verdict = recovers(*SLOW, passed=False)
    assert verdict.verdict is Verdict.UNKNOWN
    assert "rag.ask took 400ms, baseline speed is up to 150ms" in verdict.reason
    assert "no second run has confirmed it" in verdict.reason


def test_slow_beside_a_lag_is_undecided() -> None:
    """The driver stood still for the whole time."""
    assert recovers(*SLOW, passed=False, lags=(lag(24, 12_000),)).verdict is Verdict.UNKNOWN
    assert recovers(*SLOW, passed=False, clock_stepped_ms=80.0).verdict is Verdict.UNKNOWN


def test_too_late_is_too_late() -> None:
    """Failing for most of T, then fewer than k good ones."""
    mixed = (probe(25, answer=error()), probe(32, answer=error()), probe(33), probe(34))
    verdict = recovers(*mixed, passed=False, in_a_row=2)
    assert (verdict.verdict, verdict.findings[0].error_class) == (Verdict.VIOLATED, "late-recovery")


@pytest.mark.parametrize(
    ("status", "took_ms", "verdict"),
    [
        (504, 50, Verdict.UNKNOWN),
        (503, 400, Verdict.UNKNOWN),
        (503, 50, Verdict.VIOLATED),
        (500, 400, Verdict.VIOLATED),
    ],
)
def test_too_late_by_timeouts_needs_a_second_run(status: int, took_ms: float, verdict: Verdict) -> None:
    """A 504, or a 503 after a wait: more than three times the 50 ms of the baseline."""
    late = tuple(probe(at_s, took_ms, answer=error(status)) for at_s in (25, 32))
    seen = recovers(*late, probe(33), probe(34), passed=False, in_a_row=2)
    assert (seen.verdict, seen.findings[0].error_class) == (verdict, "late-recovery")


@pytest.mark.parametrize(
    ("answers", "verdict", "error_class"),
    [
        ((200, 504, 200, 504), Verdict.UNKNOWN, "late-recovery"),
        ((504, 504, 504, 504), Verdict.VIOLATED, "still-failing"),
        ((200, 504, 200, 500), Verdict.VIOLATED, "still-failing"),
        ((500, 200, 200, 504), Verdict.VIOLATED, "late-recovery"),
    ],
)
def test_timeouts_between_good_answers_need_a_second_run(
    answers: tuple[int, ...], verdict: Verdict, error_class: str
) -> None:
    """The last probe need not be the truth; what never was right is failing."""
    made = (probe(25 + i) if one == 200 else probe(25 + i, answer=error(one)) for i, one in enumerate(answers))
    seen = recovers(*made, passed=False)
    assert (seen.verdict, seen.findings[0].error_class) == (verdict, error_class)


def test_good_probes_that_were_too_few_prove_nothing() -> None:
    """Only two fitted into T."""
    assert recovers(probe(25), probe(30), passed=False, sent=2, in_a_row=2).verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("after", "passed", "fields", "text"),
    [
        (GOOD, True, {"faults": ()}, "nothing to recover from"),
        ((), True, {}, "not in the evidence"),
        (probes(passed=False, answer=error()), True, {}, "do not show them"),
        (GOOD[:2], True, {}, "do not show them"),
        (GOOD, True, {"clock_stepped_ms": 60.0}, "clock stepped"),
        (GOOD, True, {"end_how": "cut off"}, "may be missing"),
        (probes(passed=False, answer=error()), False, {"interrupted_by": "SIGINT"}, "ended early"),
    ],
)
def test_without_evidence_it_is_unknown(
    after: tuple[Operation, ...], passed: bool, fields: dict[str, object], text: str
) -> None:
    """The driver's word alone is no evidence, and a run cut short decides nothing."""
    verdict = recovers(*after, passed=passed, **fields)  # type: ignore[arg-type]
    assert verdict.verdict is Verdict.UNKNOWN
    assert text in verdict.reason


def test_no_probes_at_all() -> None:
    """The run never got there."""
    evidence = msgspec.structs.replace(run(plan(fault()), *steady_load(10, 20)), probes=())
    assert judged(evidence, "recovers/none/rag").reason == "no recovery probes were made"


def test_probes_long_after_t_do_not_count() -> None:
    """Good ones 12 s after healing are too late, whatever the driver says."""
    assert recovers(*(probe(36 + i) for i in range(3)), passed=True).verdict is not Verdict.HOLDS
