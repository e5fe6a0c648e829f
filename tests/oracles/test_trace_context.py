"""trace-context: what services send carries the operation's trace."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec
import pytest

from chaos.model.event import EvidenceLost
from chaos.model.fault import Stream
from chaos.model.link import Link
from chaos.model.operation import Operation
from chaos.model.plan import Plan
from chaos.model.scenario import DERIVED
from chaos.model.verdict import Cell, CellVerdict, Verdict
from chaos.model.wire_record import WireRecord
from chaos.oracles import derive
from tests.oracles.build import MS, SECOND, driver_error, fault, judged, operation, plan, run, steady_load
from tests.oracles.wire import changed, pair, sent_on, trails

LOAD = steady_load(10, 20)
ASKED = operation(15.05)
UNSENT = {"trace_id": "", "parent_id": "", "sampled": None, "op_id": ""}


def mapped(what: Plan, change: Callable[[Link], Link]) -> Plan:
    """The plan with its links changed, and its cells derived anew."""
    links = msgspec.structs.replace(what.scenario.links, links=tuple(map(change, what.links)))
    scenario = msgspec.structs.replace(what.scenario, links=links)
    return derive(msgspec.structs.replace(what, scenario=scenario, cells=(), not_judged=()))


def context(wire: Iterable[WireRecord], what: Plan | None = None, *operations: Operation, **fields: Any) -> CellVerdict:
    """trace-context of quiet time with these records beside those of a good load."""
    evidence = run(what or plan(fault()), *LOAD, *operations, wire=(*trails(LOAD), *wire), **fields)
    return judged(evidence, "trace-context/none/rag")


def test_a_correct_system_keeps_its_traces() -> None:
    """Over HTTP and NATS alike, in quiet time and under a fault."""
    what = plan(fault("latency"), workloads=("rag", "agent", "gateway"))
    load = [one for kind in ("rag", "agent", "gateway") for one in steady_load(10, 26, workload=kind)]
    evidence = run(what, *load)
    for oracle in ("trace-context", "trace-parent", "budget", "retry-bound"):
        for workload in ("rag", "agent", "gateway"):
            for name in ("none", "broken"):
                verdict = judged(evidence, f"{oracle}/{name}/{workload}")
                assert (verdict.verdict, verdict.undecided) == (Verdict.HOLDS, 0), verdict


@pytest.mark.parametrize(
    ("fields", "error_class", "cause"),
    [
        (UNSENT, "no-traceparent", "rag sent POST /gateway to gateway without a traceparent"),
        ({"trace_id": "9" * 32}, "new-trace", "rag sent POST /gateway to gateway in a trace of its own"),
        ({"trace_id": "9" * 32, "op_id": ""}, "new-trace", "rag sent POST /gateway to gateway in a trace of its own"),
        ({"sampled": False}, "sampling-lost", "rag sent POST /gateway to gateway with the sampled flag cleared"),
        ({"op_id": ""}, "baggage-lost", "rag sent POST /gateway to gateway without the op.id of the baggage"),
        (
            {"op_id": "rag-9"},
            "baggage-changed",
            "rag sent POST /gateway to gateway with another op.id in its baggage",
        ),
    ],
)
def test_what_a_service_loses_of_the_context(fields: dict[str, Any], error_class: str, cause: str) -> None:
    """The finding names who sent it, what is wrong, and where to look."""
    verdict = context(changed(trails((ASKED,)), sent_on("rag>gateway"), **fields), None, ASKED)
    (finding,) = verdict.findings
    assert (finding.error_class, finding.cause, finding.link) == (error_class, cause, "rag>gateway")
    assert (finding.operation, finding.where) == (ASKED.op_id, "logs of rag; link rag>gateway")
    assert (verdict.verdict, verdict.violated) == (Verdict.VIOLATED, 1)


def test_a_publish_without_context_counts_for_the_task_in_hand() -> None:
    """The consumer has one task open, and another workload's requests: the message is the task's."""
    what = plan(fault(), workloads=("agent", "gateway"))
    task = operation(15.05, workload="agent")
    load = steady_load(10, 20, workload="agent", took_ms=20)
    wire = changed(trails((task,)), sent_on("agent>nats"), digest="", **UNSENT)
    evidence = run(what, *load, task, wire=(*trails(load), *wire))
    (finding,) = judged(evidence, "trace-context/none/agent").findings
    assert (finding.operation, finding.link) == (task.op_id, "agent>nats")
    assert finding.cause == "agent published ref.results.{id} without a traceparent"


def test_an_outbox_may_relay_after_the_answer() -> None:
    """Long after: it counts for the operation of its message id, else for the last one that came that way."""
    what = plan(fault(), workloads=("agent",))
    load = steady_load(10, 19, workload="agent")
    times_ns = (19_500 * MS, 19_501 * MS)
    late, last = load[3], load[-1]
    for digest, owner in ((late.op_id, late), ("", last)):
        published = pair(last, "agent>nats", "PUB ref.results.{id}", times_ns, digest=digest)
        wire = changed(published, sent_on("agent>nats"), digest=digest, **UNSENT)
        evidence = run(what, *load, wire=(*trails(load), *wire))
        (finding,) = judged(evidence, "trace-context/none/agent").findings
        assert finding.operation == owner.op_id


def test_who_was_sent_no_context_cannot_pass_it_on() -> None:
    """Rag lost it; the gateway behind it has none to keep, whether it sends nothing or begins a trace of its own."""
    rows = changed(trails((ASKED,)), sent_on("rag>gateway"), **UNSENT)
    for own in (UNSENT, {"trace_id": "8" * 32}):
        behind = changed(rows, sent_on("gateway>provider"), **own)
        assert [one.link for one in context(behind, None, ASKED).findings] == ["rag>gateway"]


def test_a_trace_that_goes_on_is_told_where_it_began() -> None:
    """Rag made a new root, and the gateway kept it."""
    wrong = changed(trails((ASKED,)), lambda row: row.link in ("rag>gateway", "gateway>provider"), trace_id="9" * 32)
    assert [one.link for one in context(wrong, None, ASKED).findings] == ["rag>gateway"]


@pytest.mark.parametrize("listed", [("POST /gateway",), ("/gateway",), ("POST *",)])
def test_listed_signatures_need_no_context(listed: tuple[str, ...]) -> None:
    """`untraced` of the link says so."""
    what = mapped(
        plan(fault()),
        lambda link: msgspec.structs.replace(link, untraced=listed) if link.name == "rag>gateway" else link,
    )
    wire = changed(trails((ASKED,)), sent_on("rag>gateway"), **UNSENT)
    assert context(wire, what, ASKED).verdict is Verdict.HOLDS


@pytest.mark.parametrize(
    ("links", "line"),
    [
        ("map", 'link map: rag>gateway: untraced: ["GET /items/{id}"]'),
        (DERIVED, 'system.services: rag: untraced: ["GET /items/{id}"]'),
    ],
)
def test_the_finding_names_the_line_for_what_no_operation_causes(links: str, line: str) -> None:
    """A poller of a service looks like a lost trace: where its messages may be listed stands in the finding."""
    what = mapped(plan(fault()), lambda link: link)
    scenario = msgspec.structs.replace(what.scenario, links=msgspec.structs.replace(what.scenario.links, name=links))
    polled = WireRecord(15 * SECOND, "request", "rag>gateway", 5, 1, ">", "GET /items/{id}", 9)
    (finding,) = context((polled,), msgspec.structs.replace(what, scenario=scenario)).findings
    assert finding.expected == f"a traceparent with the trace id that came in; if no operation causes it: {line}"


@pytest.mark.parametrize(
    "signature",
    [
        "PUB $JS.API.CONSUMER.MSG.NEXT.TASKS.agent",
        "PUB $JS.ACK.TASKS.agent",
        "PUB _INBOX.{id}",
        "SUB ref.tasks",
        "CONNECT",
        "~heartbeat",
    ],
)
def test_a_brokers_own_messages_need_no_context(signature: str) -> None:
    """They belong to the protocol."""
    what = plan(fault(), workloads=("agent",))
    load = steady_load(10, 20, workload="agent")
    own = WireRecord(15 * SECOND, "request", "agent>nats", 5, 1, ">", signature, 9)
    verdict = judged(run(what, *load, wire=(*trails(load), own)), "trace-context/none/agent")
    assert verdict.verdict is Verdict.HOLDS


def test_what_set_up_began_is_of_this_run() -> None:
    """A document stored before the baseline is announced during it: nobody's operation, and nobody's mistake."""
    stored = operation(9.9)  # no operation of the evidence
    for link in ("driver>api", "api>rag"):
        begun = pair(stored, link, "POST /v1/documents", (9_900 * MS, 9_950 * MS))
        later = pair(stored, "rag>gateway", "POST /x", (15_000 * MS, 15_001 * MS))
        assert context((*begun, *later)).verdict is Verdict.HOLDS


def test_nothing_counts_outside_the_observed_span() -> None:
    """Before the baseline services find each other, after the stop they go."""
    for t_ns in (9_900 * MS, 50_100 * MS):
        row = WireRecord(t_ns, "request", "rag>gateway", 5, 1, ">", "GET /models", 9)
        assert context((row,)).verdict is Verdict.HOLDS


def test_lost_records_leave_what_looked_right_undecided() -> None:
    """One of those lost may have had no context; what is wrong stays wrong."""
    lost = (EvidenceLost(t_ns=0, what="wire records of rag>gateway", count=3),)
    verdict = context((), lost=lost)
    assert (verdict.verdict, verdict.undecided) == (Verdict.UNKNOWN, len(LOAD))
    wrong = changed(trails((ASKED,)), sent_on("rag>gateway"), sampled=False)
    assert context(wrong, None, ASKED, lost=lost).verdict is Verdict.VIOLATED


def test_what_could_not_be_framed_was_not_seen() -> None:
    """A raw connection hides the messages of the operations around it, until it is closed."""
    raw = WireRecord(15 * SECOND, "raw", "rag>gateway", 5, 0, ">")
    gone = WireRecord(16 * SECOND, "close", "rag>gateway", 5, status="fin")
    verdict = context((raw, gone))
    assert (verdict.verdict, verdict.undecided) == (Verdict.UNKNOWN, 11)
    assert "messages on rag>gateway could not be told apart" in verdict.reason


@pytest.mark.parametrize(("stream", "undecided"), [(Stream.UPSTREAM, 1), (Stream.DOWNSTREAM, 0)])
def test_a_fault_may_damage_what_a_service_is_sent(stream: Stream, undecided: int) -> None:
    """Bytes on their way to rag were changed: what rag made of the header is not its fault. Those of an answer hold none."""
    corrupt = msgspec.structs.replace(fault("corrupt", "api>rag"), stream=stream)
    hit, load = operation(22.05), steady_load(20, 26)
    wire = changed(trails((hit,)), lambda row: row.link == "api>rag" and row.kind == "reply", faults=("broken",))
    lost = changed(wire, sent_on("rag>gateway"), **UNSENT)
    verdict = judged(run(plan(corrupt), *load, hit, wire=(*trails(load), *lost)), "trace-context/broken/rag")
    assert (verdict.violated, verdict.undecided) == (1 - undecided, undecided)
    verdict = judged(run(plan(corrupt), *load, hit, wire=(*trails(load), *wire)), "trace-context/broken/rag")
    assert verdict.verdict is Verdict.HOLDS


def test_an_answer_without_any_message_is_no_evidence() -> None:
    """What never left the driver made no mistake; what was answered must have been on the wire."""
    unseen = (operation(15.05), operation(15.06))
    verdict = judged(run(plan(fault()), *LOAD, *unseen, wire=trails(LOAD)), "trace-context/none/rag")
    assert (verdict.verdict, verdict.undecided) == (Verdict.UNKNOWN, 2)
    refused = operation(22.05, driver_error())
    load = steady_load(20, 26)
    verdict = judged(run(plan(fault()), *load, refused), "trace-context/broken/rag")
    assert (verdict.verdict, "1 never reached the system" in verdict.reason) == (Verdict.HOLDS, True)


def test_without_traced_links_nothing_is_judged() -> None:
    """The map does not say that services carry context: the line that would enable it is told."""
    what = mapped(plan(fault()), lambda link: msgspec.structs.replace(link, traced=link.caller == "driver"))
    assert not [one for one in what.cells if one.oracle in ("trace-context", "trace-parent", "budget", "retry-bound")]
    skipped = next(one for one in what.not_judged if one.cell == Cell(oracle="trace-context", workload="rag"))
    assert "sends over a link that is marked traced" in skipped.reason
    assert skipped.enable == "link map: api>rag: {traced: true}"
