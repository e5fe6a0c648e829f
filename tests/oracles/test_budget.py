"""budget: what a service sends on is at most what it was given, less the time it took."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import pytest

from chaos.model.event import BaselineJudged
from chaos.model.operation import Operation
from chaos.model.verdict import CellVerdict, Verdict
from chaos.model.wire_record import WireRecord
from chaos.oracles import derive
from tests.oracles.build import MS, SECOND, fault, judged, operation, plan, run, steady_load
from tests.oracles.wire import changed, pair, trails

LOAD = steady_load(10, 20)
ASKED = operation(15.05, took_ms=1900)


def budget(wire: Iterable[WireRecord], asked: Operation = ASKED, what: str = "rag") -> CellVerdict:
    """The cell of quiet time: a good load, and one operation with just these messages."""
    load = steady_load(10, 20, workload=what)
    evidence = run(plan(fault(), workloads=(what,)), *load, asked, wire=(*trails(load), *wire))
    return judged(evidence, f"budget/none/{what}")


def message(
    link: str, at_ms: float, until_ms: float, budget_ms: float | None, **fields: object
) -> tuple[WireRecord, ...]:
    """A request of the operation, from when to when after its start, with this budget."""
    times_ns = (ASKED.start_ns + int(at_ms * MS), ASKED.start_ns + int(until_ms * MS))
    return pair(ASKED, link, "POST /x", times_ns, budget_ms=budget_ms, connection=int(at_ms), **fields)  # type: ignore[arg-type]


GIVEN = message("api>rag", 2, 1800, 1400)


@pytest.mark.parametrize(
    ("budget_ms", "at_ms", "error_class"),
    [
        (1300, 10, None),
        (None, 10, "budget-dropped"),
        (1402, 10, None),  # whole milliseconds on both sides
        (1403, 10, "budget-grown"),
        (1500, 600, "budget-grown"),
        (0, 1700, None),
        (0, 1790, None),
    ],
)
def test_what_a_service_sends_on(budget_ms: float | None, at_ms: float, error_class: str | None) -> None:
    """Rag was given 1400 ms at +2 ms."""
    verdict = budget((*GIVEN, *message("rag>gateway", at_ms, at_ms + 5, budget_ms)))
    assert [one.error_class for one in verdict.findings] == ([error_class] if error_class else [])


@pytest.mark.parametrize(
    ("budget_ms", "at_ms", "undecided"),
    [(1400, 40, 0), (1400, 240, 0), (952, 700, 0), (953, 700, 1), (1400, 700, 1), (251, 1500, 1), (250, 1500, 0)],
)
def test_time_that_was_left_out_rests_on_time(budget_ms: float, at_ms: float, undecided: int) -> None:
    """250 ms may pass between the proxy and a service; beyond that a second run has the word."""
    verdict = budget((*GIVEN, *message("rag>gateway", at_ms, at_ms + 5, budget_ms)))
    assert (verdict.violated, verdict.undecided) == (0, undecided)
    assert ("no second run has confirmed it" in verdict.reason) is bool(undecided)


def test_a_system_that_never_was_steady_is_not_suspected_of_slowness() -> None:
    """It may not even have come to read its messages in time. A budget that grew is wrong on any machine."""
    asked = (*GIVEN, *message("rag>gateway", 700, 705, 1400))
    grown = (*GIVEN, *message("rag>gateway", 10, 15, 1500))
    never = BaselineJudged(t_ns=20 * SECOND, steady=False, reason="150 of 150 were not ok", operations=150)
    for wire, violated in ((asked, 0), (grown, 1)):
        evidence = run(
            plan(fault()), *LOAD, ASKED, wire=(*trails(LOAD), *wire), baseline=never, faults=(), heals=(), probes=()
        )
        verdict = judged(evidence, "budget/none/rag")
        assert (verdict.violated, verdict.undecided, verdict.suspected) == (violated, 1 - violated, 0)
        assert violated or "1 undecided: the system never was steady, with no fault" in verdict.reason


def test_a_finding_shows_both_budgets() -> None:
    """What came in, what went out, who sent it."""
    (finding,) = budget((*GIVEN, *message("rag>gateway", 10, 15, 1500))).findings
    assert finding.cause == "rag sent POST /x to gateway with more budget than it had been given"
    assert (finding.expected, finding.seen) == ("at most 1400ms", "1500ms")
    assert (finding.link, finding.where) == ("rag>gateway", "logs of rag; link rag>gateway")
    assert finding.evidence[1:3] == ("+2ms api>rag POST /x budget 1400ms", "+10ms rag>gateway POST /x budget 1500ms")


def test_what_it_has_open_counts() -> None:
    """An earlier request allowed more and is answered; the later one is what it works on."""
    before = message("api>rag", 2, 100, 1400)
    after = message("api>rag", 200, 1000, 300)
    assert budget((*before, *after, *message("rag>gateway", 210, 250, 290))).verdict is Verdict.HOLDS
    (finding,) = budget((*before, *after, *message("rag>gateway", 210, 250, 900))).findings
    assert (finding.error_class, finding.expected) == ("budget-grown", "at most 300ms")


def test_of_several_open_the_most_generous_counts() -> None:
    """Nobody can tell which one it works for."""
    first, second = message("api>rag", 2, 1000, 1400), message("api>rag", 50, 1000, 300)
    assert budget((*first, *second, *message("rag>gateway", 60, 80, 1300))).verdict is Verdict.HOLDS


def test_what_it_was_sent_last_counts_when_nothing_is_open() -> None:
    """A caller that gave up, an outbox that comes later: the deadline is still theirs."""
    gone = message("api>rag", 2, 100, 1400, status="aborted")
    assert budget((*gone, *message("rag>gateway", 110, 120, 1200))).verdict is Verdict.HOLDS
    assert budget((*gone, *message("rag>gateway", 110, 120, 1500))).violated == 1


def test_one_without_a_budget_allows_everything() -> None:
    """Who was given none need not send one, and has its own timeouts."""
    free = message("api>rag", 2, 1000, None)
    assert budget((*free, *message("rag>gateway", 10, 20, None))).verdict is Verdict.HOLDS
    assert budget((*free, *GIVEN, *message("rag>gateway", 10, 20, 5000))).verdict is Verdict.HOLDS


@pytest.mark.parametrize("link", ["api>rag", "rag>gateway"])
def test_a_fault_that_holds_a_message_back_takes_time_of_its_own(link: str) -> None:
    """The time between them is not the service's then; more than was given is too much all the same."""
    load = steady_load(20, 26)
    hit = operation(22.05, took_ms=1900)
    for budget_ms, violated in ((1390, 0), (1500, 1)):
        wire = (
            *pair(hit, "api>rag", "POST /x", (hit.start_ns + 2 * MS, hit.start_ns + 1800 * MS), budget_ms=1400),
            *pair(
                hit, "rag>gateway", "POST /x", (hit.start_ns + 700 * MS, hit.start_ns + 750 * MS), budget_ms=budget_ms
            ),
        )
        wire = changed(wire, lambda row: row.link == link and row.kind == "reply", faults=("broken",))
        evidence = run(plan(fault("latency", link)), *load, hit, wire=(*trails(load), *wire))
        verdict = judged(evidence, "budget/broken/rag")
        assert (verdict.violated, verdict.undecided) == (violated, 0)


def test_a_message_is_given_its_budget_when_it_is_delivered() -> None:
    """It waited in the queue for a second: nobody held it. What is published later may say that nothing is left."""
    task = operation(15.05, workload="agent", took_ms=1900)
    at = lambda ms: task.start_ns + ms * MS  # noqa: E731
    delivered = pair(task, "agent>nats", "MSG ref.tasks", (at(1000), at(1500)), direction="<", budget_ms=400)
    for budget_ms, found in ((390, []), (500, ["budget-grown"])):
        call = pair(task, "agent>gateway", "POST /x", (at(1005), at(1100)), budget_ms=budget_ms)
        late = pair(task, "agent>nats", "PUB ref.results", (at(1600), at(1601)), budget_ms=0)
        bare = pair(task, "agent>nats", "PUB ref.events", (at(1602), at(1603)), budget_ms=None)
        verdict = budget((*delivered, *call, *late, *bare), task, "agent")
        assert [one.error_class for one in verdict.findings] == found


def test_a_system_without_budgets_shows_nothing() -> None:
    """UNKNOWN, with both ways out."""
    wire = changed(trails(LOAD), lambda row: not row.link.startswith("driver"), budget_ms=None)
    verdict = judged(run(plan(fault()), *LOAD, wire=wire), "budget/none/rag")
    assert verdict.verdict is Verdict.UNKNOWN
    assert verdict.reason == (
        "no service sends a budget (X-Budget-Ms) with any message: pass it on, or name the other oracles in expect.oracles"
    )


@pytest.mark.parametrize(
    ("header", "reason"),
    [(None, "the scenario says that no budget is sent"), ("X-Left", "the wire log does not read X-Left")],
)
def test_a_header_that_the_wire_does_not_read_is_not_judged(header: str | None, reason: str) -> None:
    """A scenario that names another header, or none, is not left UNKNOWN."""
    asked = plan(fault(), workloads=("rag",))
    scenario = msgspec.structs.replace(asked.scenario, budget_header=header)
    derived = derive(msgspec.structs.replace(asked, scenario=scenario, cells=(), not_judged=()))
    assert [one.reason for one in derived.not_judged if one.cell.oracle == "budget"] == [reason]
    assert "budget" not in {one.oracle for one in derived.cells}
