"""What rests on time violates if a second run shows it, too, and is reported as unconfirmed if none does."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaos.model.event import HealChecked, ProbesFinished
from chaos.model.evidence import Evidence
from chaos.model.exit_code import ExitCode
from chaos.model.operation import Operation
from chaos.model.settings import PhaseLimits
from chaos.model.verdict import Verdict
from chaos.oracles import judge
from tests.oracles.build import NO_ANSWER, SECOND, cell, error, fault, judged, operation, plan, run, steady_load

UNDER = "bounded/broken/rag"
PLAN = plan(fault("latency", "rag>postgres"))
LOAD = steady_load(10, 26)
LATE = tuple(operation(22.05 + i / 10, took_ms=3000) for i in range(5))


def under(*extra: Operation, what: Any = PLAN, **fields: Any) -> Evidence:
    """A run of the slow Postgres with these operations among good ones."""
    return run(what, *LOAD, *extra, **fields)


def confirmed_by(first: Evidence, *attempts: Evidence) -> Evidence:
    """The first run with its second ones."""
    return msgspec.structs.replace(first, attempts=attempts)


def test_a_late_answer_alone_is_no_violation() -> None:
    """It is a finding that nobody confirmed, in a cell that is UNKNOWN."""
    verdict = judge(under(*LATE))
    late = cell(verdict, UNDER)
    (finding,) = late.findings
    assert (late.verdict, late.suspected, late.violated) == (Verdict.UNKNOWN, 5, 0)
    assert (finding.error_class, finding.count, finding.confirmed) == ("late", 5, False)
    assert finding.cause == "api answered ok 200 too late (D is 2s) while postgres was slow"
    assert finding.seen == "ok 200 after 3s"
    assert late.reason.endswith("this rests on time, and no second run has confirmed it")
    assert (verdict.verdict, verdict.exit_code) == (Verdict.UNKNOWN, ExitCode.UNKNOWN)
    assert verdict.findings == (finding,)


def test_what_both_runs_show_violates() -> None:
    """The second run need not show as many."""
    verdict = judge(confirmed_by(under(*LATE), under(*LATE[:3])))
    late = cell(verdict, UNDER)
    (finding,) = late.findings
    assert (late.verdict, late.violated, late.suspected, late.undecided) == (Verdict.VIOLATED, 5, 0, 0)
    assert (finding.confirmed, finding.count) == (True, 5)
    assert late.reason == (
        "5 of 65 operations: api answered ok 200 too late (D is 2s) while postgres was slow; "
        "a second run shows it, too: 3 of 63 operations: api answered ok 200 too late (D is 2s) while postgres was slow"
    )
    assert verdict.exit_code == ExitCode.VIOLATED


SHOWN = "not confirmed: 5 of 65 operations: api answered ok 200 too late (D is 2s) while postgres was slow; "


@pytest.mark.parametrize(
    ("second", "why"),
    [
        (under(), "none of 60 operations in the second run"),
        (under(LATE[0]), "1 of 61 operations in the second run, as many as a cell tolerates"),
        (run(PLAN, *LOAD[:60]), "the second run does not decide: no operation met this cell"),
        (under(wire=()), "the second run does not decide: 60 of 60 undecided: broken is not proven on rag>postgres"),
        (under(*LATE, end_how="failed", end_error="proxy died"), "the second run ended as failed: proxy died"),
        (under(*LATE, end_how="cut off"), "the second run ended as cut off"),
        (under(*LATE, interrupted_by="SIGINT", end_how="interrupted"), "the second run ended as interrupted"),
    ],
)
def test_what_no_second_run_shows_stays_unknown(second: Evidence, why: str) -> None:
    """Reported as unconfirmed, with what became of the second run; one that did not end as planned confirms nothing."""
    late = judged(confirmed_by(under(*LATE), second), UNDER)
    assert late.verdict is Verdict.UNKNOWN
    assert late.reason.startswith(SHOWN + why)
    assert [one.confirmed for one in late.findings] == [False]
    assert (late.suspected, late.violated) == (5, 0)


def test_another_class_in_the_second_run_confirms_nothing() -> None:
    """A timeout that should not be and a late answer are two things, also in one cell."""
    what = plan(fault("refuse", "rag>postgres"))
    timed_out = tuple(operation(22.05 + i / 10, error(504, "deadline_exceeded", None)) for i in range(5))
    wrong_name = tuple(operation(22.05 + i / 10, error(504, dependency="provider")) for i in range(5))
    first, second = under(*timed_out, what=what), under(*wrong_name, what=what)
    result = judged(confirmed_by(first, second), "cause-kept/broken/rag")
    assert [one.error_class for one in result.findings] == ["cause-lost"]
    assert result.verdict is Verdict.UNKNOWN
    assert "the second run shows something else: 5 of 65 operations" in result.reason


def test_only_what_both_runs_show_is_confirmed() -> None:
    """The other finding of the cell stays beside it as not confirmed, and comes last."""
    both = (*LATE, *(operation(22.02 + i / 10, took_ms=3000, workload="gateway", name="queued") for i in range(7)))
    what = plan(fault("latency", "gateway>provider"), workloads=("rag", "gateway"))
    queued_and_chat = (
        *steady_load(10, 26, workload="gateway", name="chat"),
        *(operation(22.05 + i / 10, took_ms=3000, workload="gateway", name="chat") for i in range(3)),
    )
    first = run(what, *LOAD, *both, *queued_and_chat)
    second = run(what, *LOAD, *queued_and_chat)
    result = judged(confirmed_by(first, second), "bounded/broken/gateway")
    assert [(one.signature, one.count, one.confirmed) for one in result.findings] == [
        ("chat", 3, True),
        ("queued", 7, False),
    ]
    assert (result.verdict, result.violated, result.suspected) == (Verdict.VIOLATED, 3, 7)


def test_a_certain_violation_in_the_second_run_of_a_suspected_cell_violates() -> None:
    """No answer at all is worse than a late one: whatever was suspected, the cell is violated."""
    hanging = tuple(msgspec.structs.replace(one, end_ns=0, answer=NO_ANSWER) for one in LATE)
    second = under(*hanging)
    result = judged(confirmed_by(under(*LATE), second), UNDER)
    assert result.verdict is Verdict.VIOLATED
    assert [(one.error_class, one.confirmed) for one in result.findings] == [("no-answer", None), ("late", False)]


def test_a_violation_that_only_the_second_run_shows_is_told() -> None:
    """Its cell is not a suspected one, so the verdict on it stays; but nobody loses it."""
    broken = tuple(operation(22.55 + i / 10, error(500)) for i in range(3))
    verdict = judge(confirmed_by(under(*LATE), under(*LATE, *broken)))
    assert cell(verdict, "error-class/broken/rag").verdict is Verdict.HOLDS
    (note,) = (one for one in verdict.notes if "error-class" in one)
    assert note.startswith("the second run shows what the first did not: api answered 500 internal")


def test_one_of_several_second_runs_is_enough() -> None:
    """Each cell is asked of the runs that have it; one that failed does not outvote one that did not."""
    failed = under(*LATE, end_how="failed", end_error="postgres died")
    verdict = judge(confirmed_by(under(*LATE), failed, under(*LATE)))
    assert cell(verdict, UNDER).verdict is Verdict.VIOLATED
    assert "second run 1: the run ended as failed: postgres died" in verdict.notes
    refuted = judge(confirmed_by(under(*LATE), failed, under()))
    assert "none of 60 operations in the second run" in cell(refuted, UNDER).reason


def test_each_fault_has_its_own_second_run() -> None:
    """Cells of a fault that no second run repeated stay as they were."""
    slow, slower = fault("latency", "rag>postgres", name="slow"), fault("latency", "gateway>provider", name="slower")
    first = under(*LATE, what=plan(slow, slower))
    verdict = judge(confirmed_by(first, under(*LATE, what=plan(slow))))
    assert cell(verdict, "bounded/slow/rag").verdict is Verdict.VIOLATED
    open_one = cell(verdict, "bounded/slower/rag")
    assert open_one.verdict is Verdict.UNKNOWN
    assert open_one.reason.endswith("no second run has confirmed it")


def slow_probes(took_ms: float) -> Evidence:
    """A run whose probes were right, and took so long."""
    after = tuple(operation(25 + i, took_ms=took_ms, probe=True) for i in range(8))
    finished = ProbesFinished(t_ns=35 * SECOND, workload="rag", passed=took_ms < 150, in_a_row=8, sent=8)
    return under(*after, probes=(finished,))


def test_slow_recovery_is_confirmed_by_a_second_run() -> None:
    """Right but slow in both; or quick in the second one."""
    result = judged(confirmed_by(slow_probes(400), slow_probes(500)), "recovers/none/rag")
    assert (result.verdict, [(one.error_class, one.confirmed) for one in result.findings]) == (
        Verdict.VIOLATED,
        [("slow-recovery", True)],
    )
    result = judged(confirmed_by(slow_probes(400), slow_probes(50)), "recovers/none/rag")
    assert result.verdict is Verdict.UNKNOWN
    assert result.reason.startswith("not confirmed: right but slow: rag.ask took 400ms")


def test_a_limit_on_latency_is_confirmed_by_a_second_run() -> None:
    """The same phase, the same measure."""
    what = plan(fault(), phases={"baseline": PhaseLimits(p99_ms=500)})
    slow = tuple(operation(15 + i / 100, took_ms=800) for i in range(3))
    first = run(what, *LOAD, *slow)
    assert judged(first, "steady/none/rag").verdict is Verdict.UNKNOWN
    result = judged(confirmed_by(first, first), "steady/none/rag")
    assert (result.verdict, [one.confirmed for one in result.findings]) == (Verdict.VIOLATED, [True])
    assert judged(confirmed_by(first, run(what, *LOAD)), "steady/none/rag").verdict is Verdict.UNKNOWN


def test_an_interrupted_second_run_ends_the_command_so() -> None:
    """The verdict is that of the first run."""
    second = under(interrupted_by="SIGTERM", end_how="interrupted")
    verdict = judge(confirmed_by(under(*LATE), second))
    assert (verdict.verdict, verdict.exit_code) == (Verdict.UNKNOWN, ExitCode.TERMINATED)


def test_an_aborted_second_run_ends_the_command_so() -> None:
    """Whatever was being repeated: a condition under which a drill is to stop was met. A violation goes before it, as ever."""
    second = under(aborted="error_rate was 80% over the last 2s", end_how="aborted")
    verdict = judge(confirmed_by(under(*LATE), second))
    assert (verdict.verdict, verdict.exit_code) == (Verdict.UNKNOWN, ExitCode.ABORTED)
    assert "the second run: stopped by an abort condition: error_rate was 80% over the last 2s" in verdict.notes
    wrong = under(*LATE, operation(22.05, error(500, "internal", None)))
    assert judge(confirmed_by(wrong, second)).exit_code == ExitCode.VIOLATED


def test_a_fault_that_remains_of_a_second_run_is_told() -> None:
    """Read back or not, whichever run it is from."""
    second = under(heals=(HealChecked(t_ns=1, remaining=("broken on rag>postgres",)),))
    assert judge(confirmed_by(under(*LATE), second)).exit_code == ExitCode.FAULT_REMAINS


def test_a_run_that_holds_asks_nobody() -> None:
    """One late answer is tolerated: nothing is suspected, and a second run changes nothing."""
    first = under(LATE[0])
    assert judged(first, UNDER).verdict is Verdict.HOLDS
    assert judged(first, UNDER).findings == ()
    assert judge(confirmed_by(first, under(*LATE))).cells == judge(first).cells


POOL = (
    under(*LATE),
    under(*LATE[:3]),
    under(),
    under(LATE[0]),
    under(*LATE, end_how="failed"),
    under(*LATE, interrupted_by="SIGINT"),
)


@settings(max_examples=30)
@given(st.lists(st.sampled_from(range(len(POOL))), max_size=3), st.booleans())
def test_second_runs_never_clear_and_their_order_is_no_matter(chosen: list[int], late: bool) -> None:
    """A suspected cell violates if any complete second run shows it, and never holds; a cell that nobody suspected keeps its verdict."""
    first = under(*LATE) if late else under()
    attempts = tuple(POOL[i] for i in chosen)
    cells = {one.cell.id: one for one in judge(confirmed_by(first, *attempts)).cells}
    backwards = {one.cell.id: one.verdict for one in judge(confirmed_by(first, *attempts[::-1])).cells}
    assert {name: one.verdict for name, one in cells.items()} == backwards
    shown = late and bool({0, 1} & set(chosen))
    assert cells[UNDER].verdict is (Verdict.VIOLATED if shown else Verdict.UNKNOWN if late else Verdict.HOLDS)
    calm = {one.cell.id: one for one in judge(first).cells if one.cell.id != UNDER}
    assert {name: cells[name] for name in calm} == calm
