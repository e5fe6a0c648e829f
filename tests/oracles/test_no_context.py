"""Workloads to whose requests the driver cannot add trace context: nothing that rests on it is judged, and nobody blamed for its lack."""

from __future__ import annotations

import msgspec
import pytest

from chaos.model.operation import Operation
from chaos.model.plan import Plan
from chaos.model.verdict import CellVerdict, Verdict
from chaos.model.wire_record import WireRecord
from chaos.oracles import derive
from tests.oracles.build import MS, exchange, fault, judged, operation, plan, run, steady_load
from tests.oracles.wire import changed, pair, sent_on, trails

LINK = "gateway>provider"  # rag's questions and gateway's chats share it
LOAD = steady_load(10, 20)
ON_WIRE = ("retry-bound", "budget", "trace-context", "trace-parent")


def by(kind: str, *workloads: str) -> Plan:
    """A plan in which gateway's workload is of that kind."""
    what = plan(fault("latency"), workloads=(*workloads, "gateway"))
    changed_plans = [
        msgspec.structs.replace(one, spec=msgspec.structs.replace(one.spec, kind=kind))
        if one.name == "gateway"
        else one
        for one in what.workloads
    ]
    return derive(msgspec.structs.replace(what, workloads=tuple(changed_plans), cells=(), not_judged=()))


WHAT = by("tcp", "rag")


def chats(start_s: float, end_s: float, **fields: float) -> tuple[Operation, ...]:
    """Operations that bring no context along."""
    return steady_load(start_s, end_s, workload="gateway", name="chat", **fields)


def own_root(one: Operation, at_ms: float = 10) -> tuple[WireRecord, ...]:
    """Gateway begins a trace of its own as it works for the operation."""
    begin_ns = one.start_ns + int(at_ms * MS)
    sent = pair(one, LINK, "POST /x", (begin_ns, begin_ns + MS), connection=one.index)
    return changed(sent, lambda _: True, trace_id=f"own-{one.op_id}", op_id="")


def asked(*operations: Operation, wire: tuple[WireRecord, ...]) -> CellVerdict:
    """trace-context of the workload that does bring its context."""
    evidence = run(WHAT, *LOAD, *operations, wire=(*trails(LOAD), *wire))
    return judged(evidence, "trace-context/none/rag")


@pytest.mark.parametrize("kind", ["tcp", "sql"])
def test_what_rests_on_context_is_not_judged(kind: str) -> None:
    """The line says what would enable it; everything else is judged as ever."""
    what = by(kind, "rag")
    judged_here = {(one.oracle, one.workload) for one in what.cells}
    skipped = {one.cell.oracle: one for one in what.not_judged if one.cell.workload == "gateway"}
    for oracle in ON_WIRE:
        assert (oracle, "rag") in judged_here
        assert (oracle, "gateway") not in judged_here
        assert skipped[oracle].reason.endswith(f"to what gateway talks to: {kind} has no headers")
        assert skipped[oracle].enable == "workloads: gateway: kind: http or nats, by a way in that speaks it"
    assert {("bounded", "gateway"), ("error-class", "gateway")} <= judged_here


@pytest.mark.parametrize("at_ms", [10, 60])
def test_who_was_given_none_may_begin_a_trace(at_ms: float) -> None:
    """While the operation is under way, and just after: no operation that had context is blamed, though both use the link."""
    without = chats(10.03, 19.9)
    roots = tuple(row for one in without for row in own_root(one, at_ms))
    verdict = asked(*without, wire=roots)
    assert (verdict.verdict, verdict.violated) == (Verdict.HOLDS, 0)


def test_nor_is_it_blamed_for_one_that_began_meanwhile() -> None:
    """A slow one without context, and then quick ones with: what begins anew on their link may be the slow one's."""
    slow = chats(15.03, 15.1, took_ms=1000)
    assert asked(*slow, wire=own_root(slow[0], 500)).verdict is Verdict.HOLDS


def test_what_names_an_operation_without_context_is_its_own() -> None:
    """A message id that is the op id it was sent as text."""
    (one,) = chats(15.03, 15.1)
    sent = changed(own_root(one), sent_on(LINK), digest=one.op_id)
    assert asked(one, wire=sent).verdict is Verdict.HOLDS


def test_who_was_given_context_is_still_told() -> None:
    """Seconds after the last operation without: the gateway lost what rag had sent it."""
    before, one = chats(10, 12), operation(15.05)
    verdict = asked(*before, one, wire=changed(trails((one,)), sent_on(LINK), trace_id="9" * 32))
    assert [(each.error_class, each.link) for each in verdict.findings] == [("new-trace", LINK)]


def test_a_fault_on_a_traced_link_is_proven_by_who_was_exposed() -> None:
    """No operation can be told by its trace there: it acted, while such operations were under way."""
    one = operation(22.05, workload="gateway", name="chat")
    acted = exchange(msgspec.structs.replace(one, trace_id="own"), LINK, "broken", status="200")
    for kind, proven in (("tcp", Verdict.HOLDS), ("http", Verdict.UNKNOWN)):
        evidence = run(by(kind), *chats(10, 20), one, wire=acted)
        assert judged(evidence, "injected/broken/all").verdict is proven
