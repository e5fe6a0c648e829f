"""trace-parent: what services send names a parent of their own."""

from __future__ import annotations

import msgspec
import pytest

from chaos.model.evidence import Evidence
from chaos.model.operation import Operation
from chaos.model.verdict import CellVerdict, Verdict
from tests.oracles.build import MS, SECOND, fault, judged, operation, plan, run, steady_load
from tests.oracles.wire import changed, pair, sent_on, trails

LOAD = steady_load(10, 20)
ASKED = operation(15.05)


def parents(evidence: Evidence, workload: str = "rag") -> CellVerdict:
    """trace-parent of quiet time."""
    return judged(evidence, f"trace-parent/none/{workload}")


def test_a_header_copied_unchanged_is_a_missing_span() -> None:
    """Rag sends on what api sent it; the gateway has spans of its own."""
    came = next(row.parent_id for row in trails((ASKED,)) if row.link == "api>rag")
    wire = changed(trails((ASKED,)), sent_on("rag>gateway"), parent_id=came)
    verdict = parents(run(plan(fault()), *LOAD, ASKED, wire=(*trails(LOAD), *wire)))
    (finding,) = verdict.findings
    assert (finding.error_class, finding.link, finding.count) == ("header-copied", "rag>gateway", 1)
    assert finding.cause == (
        "rag sent POST /gateway to gateway with the parent id that it received: its own span is missing"
    )
    assert finding.where == "logs of rag; link rag>gateway"
    assert finding.evidence[1:3] == (
        f"+2ms api>rag POST /rag parent {came}",
        f"+3ms rag>gateway POST /gateway parent {came}",
    )


def test_a_consumer_that_copies_what_it_was_delivered() -> None:
    """Over NATS: the delivery is what came in, a request over HTTP or a publish is what goes out."""
    task = operation(15.05, workload="agent")
    load = steady_load(10, 20, workload="agent")
    came = next(row.parent_id for row in trails((task,)) if row.link == "agent>nats" and row.direction == "<")
    for link in ("agent>nats", "agent>gateway"):
        wire = changed(trails((task,)), sent_on(link), parent_id=came)
        evidence = run(plan(fault(), workloads=("agent",)), *load, task, wire=(*trails(load), *wire))
        assert [one.link for one in parents(evidence, "agent").findings] == [link]


def test_redeliveries_share_the_header_of_their_message() -> None:
    """One hop: the driver's publish, its delivery, and the same delivered again."""
    task = operation(15.05, workload="agent", took_ms=3000)
    load = steady_load(10, 20, workload="agent")
    again = pair(
        task, "agent>nats", "MSG ref.tasks", (16 * SECOND, 17 * SECOND), direction="<", parent=0, status="+ACK"
    )
    evidence = run(plan(fault(), workloads=("agent",)), *load, task, wire=(*trails((*load, task)), *again))
    assert parents(evidence, "agent").verdict is Verdict.HOLDS


def test_a_services_own_message_may_come_back_to_it() -> None:
    """It published, was delivered its own message, and published it again as nobody acknowledged it."""
    task = operation(15.05, workload="agent", took_ms=3000)
    load = steady_load(10, 20, workload="agent")
    own = [
        row
        for at_s, direction in ((16.0, ">"), (16.1, "<"), (16.2, ">"))
        for row in pair(
            task,
            "agent>nats",
            "PUB ref.x" if direction == ">" else "MSG ref.x",
            (int(at_s * SECOND), int(at_s * SECOND) + MS),
            direction=direction,
            parent=60,
            status="ok",
        )
    ]
    evidence = run(plan(fault(), workloads=("agent",)), *load, task, wire=(*trails((*load, task)), *own))
    assert parents(evidence, "agent").verdict is Verdict.HOLDS


@pytest.mark.parametrize(
    ("took_ms", "at_ms", "violated", "undecided"),
    [
        (100, 500, 1, 0),  # the task is done: the consumer of the message copied its header
        (3000, 500, 0, 1),  # the task that published it is still at work, and may have sent this
        (3000, 30, 0, 0),  # before the message came back: sent by the span that published
    ],
)
def test_what_is_sent_with_the_parent_of_an_own_message_that_came_back(
    took_ms: float, at_ms: float, violated: int, undecided: int
) -> None:
    """Its own publish, the delivery to itself, and then a request to another service with the same parent."""
    task = operation(15.05, workload="agent", took_ms=took_ms)
    load = steady_load(10, 20, workload="agent")
    sent = (("PUB ref.x", ">", 20), ("MSG ref.x", "<", 60))
    own = [
        row
        for signature, way, after_ms in sent
        for row in pair(task, "agent>nats", signature, _times(task, after_ms), direction=way, parent=60, status="ok")
    ]
    request = pair(task, "agent>gateway", "POST /x", _times(task, at_ms), parent=60)
    evidence = run(plan(fault(), workloads=("agent",)), *load, task, wire=(*trails((*load, task)), *own, *request))
    verdict = parents(evidence, "agent")
    assert (verdict.violated, verdict.undecided) == (violated, undecided)


def _times(one: Operation, after_ms: float) -> tuple[int, int]:
    begin_ns = one.start_ns + int(after_ms * MS)
    return begin_ns, begin_ns + MS


def test_a_reply_belongs_to_its_request() -> None:
    """`respond()` echoes the headers of the request: a reply is no message of its own."""
    asked = operation(15.05, workload="gateway", name="queued")
    load = steady_load(10, 20, workload="gateway", name="queued")
    delivered = next(row for row in trails((asked,)) if row.link == "gateway>nats" and row.kind == "reply")
    echoed = msgspec.structs.replace(delivered, number=0, signature="PUB _INBOX.{id}", t_ns=delivered.t_ns + MS)
    evidence = run(plan(fault(), workloads=("gateway",)), *load, asked, wire=(*trails((*load, asked)), echoed))
    assert parents(evidence, "gateway").verdict is Verdict.HOLDS


@pytest.mark.parametrize("oracle", ["trace-context", "trace-parent", "retry-bound"])
def test_the_drivers_own_messages_prove_nothing_of_the_system(oracle: str) -> None:
    """A service that calls around its links sends nothing that could be seen: that is no reason to hold."""
    own = tuple(one for one in trails(LOAD) if one.link.startswith("driver>"))
    verdict = judged(run(plan(fault()), *LOAD, wire=own), f"{oracle}/none/rag")
    assert verdict.verdict is Verdict.UNKNOWN
    assert "no message of a service was seen on a traced link" in verdict.reason
