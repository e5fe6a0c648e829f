"""injected: without proof that the fault acted, nothing it was to test may hold."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from chaos.model.event import BaselineJudged, BypassChecked, EvidenceLost, RefusalProbed
from chaos.model.evidence import Evidence
from chaos.model.operation import Operation
from chaos.model.verdict import CellVerdict, Verdict
from chaos.model.wire_record import WireRecord
from chaos.oracles import judge
from tests.oracles.build import (
    SECOND,
    cell,
    closed,
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

LOAD = steady_load(10, 26)
ASKED = operation(22.05)


def injected(evidence: Evidence) -> CellVerdict:
    """The cell of the fault called broken."""
    return judged(evidence, "injected/broken/all")


def touch(link: str) -> WireRecord:
    """A fault acted on an unframed connection."""
    return WireRecord(22 * SECOND, "touch", link, 5, direction="<", faults=("broken",))


@pytest.mark.parametrize(
    ("link", "wire", "verdict"),
    [
        ("gateway>provider", exchange(ASKED, "gateway>provider", "broken"), Verdict.HOLDS),
        ("gateway>provider", exchange(ASKED, "gateway>provider"), Verdict.UNKNOWN),
        ("gateway>provider", (touch("gateway>provider"),), Verdict.UNKNOWN),  # traced: needs a hit
        ("gateway>provider", (), Verdict.UNKNOWN),
        ("rag>postgres", (touch("rag>postgres"),), Verdict.HOLDS),
        ("rag>postgres", (), Verdict.UNKNOWN),
        ("gateway>nats", (touch("gateway>nats"),), Verdict.HOLDS),  # traced, but acknowledgements carry no trace
        ("agent>nats", (touch("agent>nats"),), Verdict.UNKNOWN),  # acted, but nobody's route has it
    ],
)
def test_a_slow_fault_is_proven_on_the_wire(link: str, wire: tuple[WireRecord, ...], verdict: Verdict) -> None:
    """A hit on a traced link; elsewhere something it acted on and an exposed operation."""
    queued = operation(22.05, workload="gateway", name="queued")
    assert injected(run(plan(fault("latency", link)), *LOAD, ASKED, queued, wire=wire)).verdict is verdict


def refused(*results: str, wire: tuple[WireRecord, ...] = (), ops: tuple[Operation, ...] = ()) -> CellVerdict:
    """A refusing provider with these probes of ours."""
    refusals = tuple(
        RefusalProbed(t_ns=21 * SECOND, fault="broken", link="gateway>provider", result=one) for one in results
    )
    return injected(run(plan(fault()), *LOAD, *ops, refusals=refusals, wire=wire))


CUT = (closed("gateway>provider", "broken"),)
NAMING = (operation(22.05, error(503)),)


@pytest.mark.parametrize(
    ("results", "wire", "ops", "verdict"),
    [
        (("refused",), CUT, (), Verdict.HOLDS),
        (("refused",), (), NAMING, Verdict.HOLDS),
        (("refused",), (), (), Verdict.UNKNOWN),  # nobody met it
        ((), CUT, NAMING, Verdict.UNKNOWN),
        (("timeout",), CUT, NAMING, Verdict.UNKNOWN),
        (("timeout", "refused"), CUT, (), Verdict.HOLDS),
        (("refused", "accepted"), CUT, NAMING, Verdict.UNKNOWN),  # it did not refuse all the time
        (("refused",), (), (operation(22.05, error(503, dependency="postgres")),), Verdict.UNKNOWN),
    ],
)
def test_a_refusal_is_proven_by_us_and_by_a_caller(
    results: tuple[str, ...], wire: tuple[WireRecord, ...], ops: tuple[Operation, ...], verdict: Verdict
) -> None:
    """A probe of ours refused, and a connection cut or an error naming the callee: the kernel answers, the proxy sees nothing."""
    assert refused(*results, wire=wire, ops=ops).verdict is verdict


def test_on_the_drivers_own_link_its_failure_is_the_callers() -> None:
    """The driver could not connect."""
    ops = (*LOAD, operation(22.05, driver_error("connect-refused")))
    assert injected(run(plan(fault("refuse", "driver>api")), *ops, wire=())).verdict is Verdict.HOLDS


@pytest.mark.parametrize("how", ["lease", "hard-end", "proxy-gone", "replaced"])
def test_a_fault_that_ended_out_of_our_hands_tested_nothing(how: str) -> None:
    """What it was testing is UNKNOWN, in every cell of it."""
    verdict = judge(with_fault(run(plan(fault()), *LOAD), how=how))
    assert {one.verdict for one in verdict.cells if one.cell.fault == "broken"} == {Verdict.UNKNOWN}
    assert cell(verdict, "bounded/none/rag").verdict is Verdict.HOLDS
    assert verdict.exit_code == 3


def test_a_fault_that_never_began() -> None:
    """No `on`: UNKNOWN."""
    assert "never seen to begin" in injected(with_fault(run(plan(fault()), *LOAD), onset_ns=None)).reason


def test_a_cell_that_nobody_met_says_why() -> None:
    """The fault never began, so nobody could."""
    evidence = with_fault(run(plan(fault()), *steady_load(10, 20)), onset_ns=None)
    assert judged(evidence, "bounded/broken/rag").reason == "no operation met this cell: it was never seen to begin"


def test_a_fault_that_waited_in_vain_for_a_steady_baseline_says_so_once() -> None:
    """The reason is the baseline, told once however many links the fault has."""
    shaky = BaselineJudged(t_ns=20 * SECOND, steady=False, reason="", operations=100)
    two = run(
        plan(fault("latency", "gateway>provider", "rag>postgres")), *steady_load(10, 20), baseline=shaky, faults=()
    )
    told = judged(two, "bounded/broken/rag").reason
    assert told == "no operation met this cell: it was not begun, as the baseline was not steady"


def test_every_link_must_be_proven() -> None:
    """One silent link of two leaves the fault UNKNOWN, and names the link."""
    what = plan(fault("latency", "gateway>provider", "agent>nats"))
    verdict = injected(run(what, *LOAD, ASKED, wire=exchange(ASKED, "gateway>provider", "broken")))
    assert (verdict.verdict, verdict.reason) == (Verdict.UNKNOWN, "agent>nats: it acted on nothing: no traffic met it")


def test_without_proof_nothing_of_that_fault_holds() -> None:
    """Good answers while nothing happened prove nothing; other cells are not concerned."""
    verdict = judge(run(plan(fault("latency", "rag>postgres")), *LOAD, wire=()))
    by_id = {one.cell.id: one.verdict for one in verdict.cells}
    assert by_id["bounded/broken/rag"] is by_id["ok-means-ok/broken/rag"] is Verdict.UNKNOWN
    assert by_id["bounded/none/rag"] is Verdict.HOLDS
    assert (verdict.verdict, verdict.exit_code) == (Verdict.UNKNOWN, 3)


def test_a_link_that_is_proven_carries_its_own_operations() -> None:
    """rag>postgres is silent; operations exposed by gateway>provider are evidence all the same."""
    what = plan(fault("latency", "gateway>provider", "agent>nats"), workloads=("rag", "agent"))
    evidence = run(what, *LOAD, ASKED, wire=exchange(ASKED, "gateway>provider", "broken"))
    assert judged(evidence, "bounded/broken/rag").verdict is Verdict.HOLDS


def test_a_violation_stands_without_proof() -> None:
    """HOLDS needs the fault, VIOLATED needs only the violation."""
    evidence = run(plan(fault("latency", "rag>postgres")), *LOAD, operation(22.05, error(500)), wire=())
    assert judged(evidence, "error-class/broken/rag").verdict is Verdict.VIOLATED


def test_lost_wire_records_are_said() -> None:
    """The proof may have been among them."""
    lost = (EvidenceLost(t_ns=0, what="wire", count=3),)
    verdict = injected(run(plan(fault("latency", "rag>postgres")), *LOAD, wire=(), lost=lost))
    assert "wire log were lost" in verdict.reason


def test_masked_faults_hold() -> None:
    """Every operation hit was answered ok: the system masked the fault."""
    wire = tuple(row for one in steady_load(22, 24) for row in exchange(one, "gateway>provider", "broken"))
    verdict = judged(run(plan(fault("latency")), *LOAD, wire=wire), "error-class/broken/rag")
    assert (verdict.verdict, verdict.masked) == (Verdict.HOLDS, 20)
    assert "masked 20/20" in verdict.reason


AROUND = "rag reaches postgres around its proxy (1 connection, from 127.0.0.1:45678); point POSTGRES_DSN at the link rag>postgres"


def slow_postgres(*bypasses: BypassChecked) -> Evidence:
    """A slow Postgres whose fault acted, answered ok all the while, with these checks on record."""
    evidence = run(plan(fault("latency", "rag>postgres")), *LOAD, ASKED, wire=(touch("rag>postgres"),))
    return msgspec.structs.replace(evidence, bypasses=bypasses)


@pytest.mark.parametrize(
    ("checks", "why"),
    [
        ([{"around": (AROUND,)}], AROUND),
        ([{"through": 4}, {"through": 4, "around": (AROUND,)}], AROUND),  # a connection that was opened meanwhile
        ([{"error": "no answer"}], "it is not known who reaches postgres around its proxy: no answer"),
        ([{"through": 4}, {"error": "no answer"}], "it is not known who reaches postgres around its proxy: no answer"),
    ],
)
def test_who_goes_around_the_proxy_leaves_its_faults_unproven(checks: list[dict[str, Any]], why: str) -> None:
    """Nothing of a fault holds that traffic could avoid; the reason says who, and a reader of the notes sees it, too."""
    verdict = judge(slow_postgres(*(BypassChecked(t_ns=0, callee="postgres", **one) for one in checks)))
    assert cell(verdict, "injected/broken/all").verdict is Verdict.UNKNOWN
    assert why in cell(verdict, "injected/broken/all").reason
    assert cell(verdict, "bounded/broken/rag").verdict is Verdict.UNKNOWN
    assert why in cell(verdict, "bounded/broken/rag").reason
    assert cell(verdict, "bounded/none/rag").verdict is Verdict.HOLDS
    assert [note for note in verdict.notes if note == why] == [why]


@pytest.mark.parametrize(
    "check",
    [BypassChecked(t_ns=0, callee="postgres", through=4), BypassChecked(t_ns=0, callee="nats", around=(AROUND,))],
)
def test_a_clean_check_and_that_of_another_callee_change_nothing(check: BypassChecked) -> None:
    """Faults on links to Postgres stay proven."""
    assert injected(slow_postgres(check)).verdict is Verdict.HOLDS
    assert judged(slow_postgres(check), "bounded/broken/rag").verdict is Verdict.HOLDS


def test_a_violation_stands_although_somebody_goes_around() -> None:
    """What the system did wrong it did wrong, by whichever way its traffic went."""
    wrong = operation(22.05, error(500))
    evidence = run(plan(fault("latency", "rag>postgres")), *LOAD, wrong, wire=(touch("rag>postgres"),))
    evidence = msgspec.structs.replace(evidence, bypasses=(BypassChecked(t_ns=0, callee="postgres", around=(AROUND,)),))
    assert judged(evidence, "error-class/broken/rag").verdict is Verdict.VIOLATED
