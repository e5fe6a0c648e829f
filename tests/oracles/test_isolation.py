"""isolation: who does not use a faulted link does not notice."""

from __future__ import annotations

import msgspec
import pytest

from chaos.model.event import BaselineJudged, ProcessExited
from chaos.model.operation import Answer, Operation
from chaos.model.plan import Plan
from chaos.model.scenario import Arrivals
from chaos.model.settings import Settings
from chaos.model.verdict import CellVerdict, Verdict
from chaos.oracles import derive
from tests.oracles.build import (
    NO_ANSWER,
    SECOND,
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

ELSEWHERE = fault("refuse", "rag>gateway")
QUIET = {"workload": "gateway", "name": "chat"}


def paced(what: Plan, per_s: float, arrivals: Arrivals = Arrivals.CONSTANT) -> Plan:
    """The plan with every workload at that rate, and its cells derived anew."""
    workloads = tuple(
        msgspec.structs.replace(one, spec=msgspec.structs.replace(one.spec, rate_per_s=per_s, arrivals=arrivals))
        for one in what.workloads
    )
    return derive(msgspec.structs.replace(what, workloads=workloads, cells=(), not_judged=()))


TWO = paced(plan(ELSEWHERE, workloads=("rag", "gateway")), 10)
BASELINE = (*steady_load(10, 20, took_ms=40, **QUIET), *steady_load(10, 20))
MEANWHILE = (*steady_load(20, 24, took_ms=40, **QUIET), *steady_load(20, 24, error(503, dependency="gateway")))


def isolation(*operations: Operation, what: Plan = TWO, **fields: object) -> CellVerdict:
    """The cell of gateway while rag>gateway refuses."""
    return judged(run(what, *BASELINE, *operations, **fields), "isolation/broken/gateway")


def test_who_is_elsewhere_goes_on() -> None:
    """Operations of the other workload fail; these do not."""
    verdict = isolation(*MEANWHILE)
    assert (verdict.verdict, verdict.reason) == (Verdict.HOLDS, "40 operations")


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (error(503), "gateway answered 503 dependency_unavailable naming provider"),
        (error(500, dependency=None), "gateway answered 500 internal without naming a dependency"),
        (driver_error(), "gateway.chat failed with no answer but connection-reset at the driver"),
        (NO_ANSWER, "gateway.chat got no answer"),
    ],
)
def test_who_fails_was_drawn_in(answer: Answer, cause: str) -> None:
    """It rests on what was answered: one violates."""
    verdict = isolation(*MEANWHILE, operation(22.05, answer, **QUIET))
    (finding,) = verdict.findings
    assert (verdict.verdict, finding.error_class, finding.link) == (Verdict.VIOLATED, "drawn-in", "rag>gateway")
    assert finding.cause == f"{cause} while gateway refused connections, which it does not use"


def test_the_finding_names_the_faulted_link_of_a_service_on_the_way() -> None:
    """Two links are faulted; a chat goes through the gateway, so its link to NATS is where to look."""
    what = paced(plan(fault("refuse", "agent>nats", "gateway>nats"), workloads=("gateway",)), 30)
    load = steady_load(10, 24, took_ms=40, **QUIET)
    evidence = run(what, *load, operation(22.05, error(503, dependency="nats"), **QUIET))
    (finding,) = judged(evidence, "isolation/broken/gateway").findings
    assert (finding.link, finding.where) == ("gateway>nats", "logs of gateway; link gateway>nats")


def test_a_timeout_needs_a_second_run() -> None:
    """A slow machine makes services time out."""
    verdict = isolation(*MEANWHILE, operation(22.05, error(504), **QUIET))
    assert (verdict.violated, verdict.undecided) == (0, 1)


@pytest.mark.parametrize(("took_ms", "violated"), [(5, 1), (119, 1), (121, 0)])
def test_so_does_a_503_that_kept_its_caller_waiting(took_ms: float, violated: int) -> None:
    """A pool or a queue without room in time is told as 503; one that comes at once waited for nothing."""
    verdict = isolation(*MEANWHILE, operation(22.05, error(503), took_ms=took_ms, **QUIET))
    assert (verdict.violated, verdict.undecided) == (violated, 1 - violated)


@pytest.mark.parametrize(("lag_ms", "violated"), [(0, 1), (1700, 1), (1900, 0)])
def test_silence_while_the_driver_stood_still_is_nobodys(lag_ms: float, violated: int) -> None:
    """It waits for 4 s, and 2.2 s are allowed: a shorter lag hides no answer in time, as with `bounded`."""
    lags = (lag(22.1, lag_ms),) if lag_ms else ()
    verdict = isolation(*MEANWHILE, operation(22.05, NO_ANSWER, **QUIET), lags=lags)
    assert verdict.violated == violated


@pytest.mark.parametrize(
    ("took_ms", "verdict"),
    [(40, Verdict.HOLDS), (119, Verdict.HOLDS), (121, Verdict.UNKNOWN)],
)
def test_slow_is_told_by_the_median(took_ms: float, verdict: Verdict) -> None:
    """Three times the baseline's 40 ms; without a second run it is undecided."""
    seen = isolation(*steady_load(20, 24, took_ms=took_ms, **QUIET))
    assert (seen.verdict, seen.violated) == (verdict, 0)


def test_a_few_slow_ones_are_no_slow_median() -> None:
    """Eighteen of forty."""
    slow = steady_load(22.0, 23.8, took_ms=900, **QUIET)
    assert isolation(*steady_load(20, 22.2, took_ms=40, **QUIET), *slow).verdict is Verdict.HOLDS


def test_the_floor_is_for_quick_operations() -> None:
    """40 ms and 50 ms more, where three times 10 ms would be less."""
    quick = (*steady_load(10, 20, took_ms=10, **QUIET), *steady_load(20, 24, took_ms=59, **QUIET))
    assert judged(run(TWO, *quick), "isolation/broken/gateway").verdict is Verdict.HOLDS
    strict = paced(plan(ELSEWHERE, workloads=("rag", "gateway"), settings=Settings(isolation_floor_ms=40)), 10)
    assert judged(run(strict, *quick), "isolation/broken/gateway").verdict is Verdict.UNKNOWN


def test_who_came_before_or_after_is_not_judged() -> None:
    """The fault lasts from 20 s to 24 s; settling does not count, as there is nothing to settle from."""
    for at_s in (19.9, 24.05):
        assert isolation(*MEANWHILE, operation(at_s, error(503), took_ms=20, **QUIET)).violated == 0


def test_who_another_fault_concerns_is_left_out() -> None:
    """The provider refuses, too: nothing of gateway is clear then."""
    two = paced(plan(ELSEWHERE, fault(name="other"), workloads=("rag", "gateway")), 10)
    assert "isolation/broken/gateway" not in {one.id for one in two.cells}
    kept = msgspec.structs.replace(two, cells=TWO.cells)
    verdict = judged(run(kept, *BASELINE, *MEANWHILE), "isolation/broken/gateway")
    assert (verdict.verdict, verdict.reason) == (Verdict.UNKNOWN, "no operation met this cell")


def test_an_unproven_fault_proves_no_isolation() -> None:
    """Nobody noticed a fault that was not there."""
    verdict = isolation(*MEANWHILE, wire=(), refusals=())
    assert (verdict.verdict, verdict.undecided) == (Verdict.UNKNOWN, 40)


def test_what_is_ours_is_not_blamed() -> None:
    """A dead NATS of ours, a baseline that never was steady, a driver that stood still."""
    failed = (operation(22.05, error(500), **QUIET), operation(22.06, error(500), **QUIET))
    died = (ProcessExited(t_ns=21 * SECOND, name="nats", code=-9, expected=False),)
    shaky = BaselineJudged(t_ns=20 * SECOND, steady=False, reason="", operations=100)
    assert isolation(*MEANWHILE, *failed, exits=died).violated == 0
    assert isolation(*MEANWHILE, *failed, baseline=shaky).violated == 0
    stood = isolation(*steady_load(20, 24, took_ms=900, **QUIET), lags=(lag(20, 5000),))
    assert (stood.violated, stood.undecided) == (0, 40)


def cells(what: Plan) -> dict[str, str]:
    """Cells of isolation: judged (empty), or what would enable them."""
    judged_ones = {one.id: "" for one in what.cells if one.oracle == "isolation"}
    return judged_ones | {one.cell.id: one.enable for one in what.not_judged if one.cell.oracle == "isolation"}


@pytest.mark.parametrize(
    ("per_s", "arrivals", "enable"),
    [
        (6, Arrivals.CONSTANT, ""),
        (5, Arrivals.CONSTANT, "workloads: gateway: rate: 10/s"),
        (6, Arrivals.POISSON, "workloads: gateway: rate: 10/s"),
        (10, Arrivals.POISSON, ""),
    ],
)
def test_a_cell_needs_enough_clear_operations(per_s: float, arrivals: Arrivals, enable: str) -> None:
    """Four seconds; with chance in it more are planned than are needed."""
    assert cells(paced(TWO, per_s, arrivals))["isolation/broken/gateway"] == enable


def test_what_would_enable_a_cell_does() -> None:
    """The rate that the line names is enough."""
    for arrivals in Arrivals:
        assert cells(paced(TWO, 10, arrivals))["isolation/broken/gateway"] == ""


def test_cells_that_do_not_apply_say_what_would() -> None:
    """All of rag goes that way; or another fault covers the time."""
    what = paced(plan(ELSEWHERE, fault(name="other"), workloads=("rag", "gateway")), 10)
    found = cells(what)
    assert found["isolation/broken/rag"] == "timeline.faults: broken: on: agent>nats"
    assert (
        found["isolation/broken/gateway"] == "timeline.faults: broken: at: a time when no other fault concerns gateway"
    )


def test_only_some_operations_of_a_workload_may_be_clear() -> None:
    """Queued requests use NATS, chats do not: the chats are judged."""
    what = paced(plan(fault("refuse", "gateway>nats"), workloads=("gateway",)), 30)
    load = (*steady_load(10, 24, **QUIET), *steady_load(10, 24, workload="gateway", name="queued"))
    verdict = judged(run(what, *load), "isolation/broken/gateway")
    assert (verdict.verdict, verdict.population) == (Verdict.HOLDS, 40)


def test_without_a_baseline_of_its_kind_speed_is_not_known() -> None:
    """Undecided, whatever the answer took."""
    evidence = run(TWO, *steady_load(10, 20), *MEANWHILE)
    verdict = judged(evidence, "isolation/broken/gateway")
    assert (verdict.verdict, verdict.undecided) == (Verdict.UNKNOWN, 40)
    assert "the baseline has no gateway.chat to compare with" in verdict.reason
