"""steady: the baseline, and declared limits of each phase."""

from __future__ import annotations

import pytest

from chaos.model.event import BaselineJudged, LoadCounted, PhaseName
from chaos.model.operation import Operation
from chaos.model.settings import PhaseLimits
from chaos.model.verdict import CellVerdict, Verdict
from tests.oracles.build import NO_ANSWER, error, fault, judged, lag, operation, plan, run, steady_load

LOAD = steady_load(10, 19.5)


def steady(
    *operations: Operation, limits: PhaseLimits | None = None, phase: str = "baseline", **fields: object
) -> CellVerdict:
    """The cell of workload rag."""
    phases = {} if limits is None else {phase: limits}
    return judged(run(plan(fault(), phases=phases), *LOAD, *operations, **fields), "steady/none/rag")


def test_a_steady_baseline_holds_without_limits() -> None:
    """Nothing more was asked."""
    assert steady().verdict is Verdict.HOLDS


@pytest.mark.parametrize(
    ("baseline", "text"),
    [
        (BaselineJudged(t_ns=0, steady=False, reason="medians moved", operations=9), "medians moved"),
        (None, "never ended"),
    ],
)
def test_an_unsteady_baseline_is_unknown(baseline: BaselineJudged | None, text: str) -> None:
    """Without one there is nothing to compare with."""
    verdict = steady(baseline=baseline)
    assert (verdict.verdict, text in verdict.reason) == (Verdict.UNKNOWN, True)


@pytest.mark.parametrize(
    ("limits", "extra", "error_class", "certain"),
    [
        (PhaseLimits(error_rate=0.01), (), None, True),
        (
            PhaseLimits(error_rate=0.01),
            tuple(operation(15 + i / 100, error()) for i in range(3)),
            "error-rate-baseline",
            True,
        ),
        (
            PhaseLimits(error_rate=0.01),
            tuple(operation(12 + i / 100, NO_ANSWER) for i in range(3)),
            "error-rate-baseline",
            True,
        ),
        (PhaseLimits(p50_ms=60), (), None, True),
        (PhaseLimits(p50_ms=40), (), "p50-baseline", False),
        (PhaseLimits(p99_ms=500), (operation(15, took_ms=800), operation(15, took_ms=801)), "p99-baseline", False),
        (PhaseLimits(p99_ms=500), (operation(15, late_ms=800), operation(15, late_ms=801)), "p99-baseline", False),
        (PhaseLimits(p99_ms=500), (operation(15, NO_ANSWER), operation(15, NO_ANSWER)), "p99-baseline", True),
        (PhaseLimits(p99_ms=900), (operation(15, took_ms=800),), None, True),
        (PhaseLimits(min_rate_per_s=9), (), None, True),
        (PhaseLimits(min_rate_per_s=10), (), "rate-baseline", False),
    ],
)
def test_limits_of_a_phase(
    limits: PhaseLimits, extra: tuple[Operation, ...], error_class: str | None, certain: bool
) -> None:
    """Timed from the intended start; no answer is an error and endless. Latency and rate wait for a second run's word."""
    verdict = steady(*extra, limits=limits)
    assert [one.error_class for one in verdict.findings] == ([error_class] if error_class else [])
    broken, confirmed = (Verdict.VIOLATED, None) if certain else (Verdict.UNKNOWN, False)
    assert verdict.verdict is (broken if error_class else Verdict.HOLDS)
    assert {one.confirmed for one in verdict.findings} <= {confirmed}


def test_errors_violate_whatever_is_slow_beside_them() -> None:
    """What rests on time waits for a second run, and hides nothing."""
    wrong = tuple(operation(15 + i / 100, error(), took_ms=800) for i in range(3))
    verdict = steady(*wrong, limits=PhaseLimits(error_rate=0.01, p99_ms=500))
    assert (verdict.verdict, [one.error_class for one in verdict.findings]) == (
        Verdict.VIOLATED,
        ["error-rate-baseline"],
    )


def test_who_straddles_the_end_of_the_baseline_does_not_count() -> None:
    """Started in it, answered in the faults."""
    assert steady(operation(19.9, error(), took_ms=500), limits=PhaseLimits(error_rate=0.0)).verdict is Verdict.HOLDS


def test_too_few_operations_keep_no_limit() -> None:
    """Recovery had three."""
    few = tuple(operation(30 + i) for i in range(3))
    assert steady(*few, limits=PhaseLimits(error_rate=0.5), phase="recovery").verdict is Verdict.UNKNOWN


def counted(phase: PhaseName, dropped: int, late: int) -> tuple[LoadCounted, ...]:
    """What the driver could not start in a phase, and a good baseline."""
    good = LoadCounted(t_ns=1, workload="rag", phase=PhaseName.BASELINE, started=100, dropped=0, late=0)
    return good, LoadCounted(t_ns=2, workload="rag", phase=phase, started=100 - dropped, dropped=dropped, late=late)


@pytest.mark.parametrize(
    ("dropped", "late", "verdict"), [(5, 0, Verdict.HOLDS), (6, 0, Verdict.UNKNOWN), (3, 3, Verdict.UNKNOWN)]
)
def test_lost_load_makes_a_phase_unknown(dropped: int, late: int, verdict: Verdict) -> None:
    """More than 5 % late or dropped: the load was not what was asked."""
    during = steady_load(20, 24)
    result = steady(
        *during, limits=PhaseLimits(error_rate=0.5), phase="faults", loads=counted(PhaseName.FAULTS, dropped, late)
    )
    assert result.verdict is verdict


def test_a_phase_without_limits_may_lose_load() -> None:
    """A hanging system fills the bound: that is not asked about here."""
    assert steady(loads=counted(PhaseName.FAULTS, 90, 0)).verdict is Verdict.HOLDS


def test_no_count_is_no_evidence() -> None:
    """The driver did not say what it started."""
    assert steady(loads=()).verdict is Verdict.UNKNOWN


def test_latency_beside_a_lag_is_undecided_and_errors_are_not() -> None:
    """Only operations beside the lag were slow."""
    slow = tuple(operation(15 + i / 100, took_ms=800) for i in range(3))
    limits = PhaseLimits(p99_ms=500)
    assert steady(*slow, limits=limits, lags=(lag(15, 500),)).findings == ()
    assert len(steady(*slow, limits=limits, lags=(lag(11, 500),)).findings) == 1
    assert steady(limits=limits, clock_stepped_ms=90.0).verdict is Verdict.UNKNOWN
    wrong = tuple(operation(15 + i / 100, error()) for i in range(3))
    verdict = steady(*wrong, limits=PhaseLimits(error_rate=0.0), lags=(lag(16, 100),), clock_stepped_ms=90.0)
    assert verdict.verdict is Verdict.VIOLATED


def test_a_phase_never_reached_is_unknown() -> None:
    """It was interrupted before."""
    verdict = steady(limits=PhaseLimits(error_rate=0.5), phase="recovery", phases=())
    assert (verdict.verdict, "never reached" in verdict.reason) == (Verdict.UNKNOWN, True)


def test_findings_read_like_sentences() -> None:
    """Workload, measure, phase, limit."""
    (finding,) = steady(limits=PhaseLimits(p50_ms=40)).findings
    assert finding.cause == "rag had p50 50ms in baseline, its limit is 40ms"
    assert finding.where == "phase baseline, 10.0s long"
