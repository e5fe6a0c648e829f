"""Hit, exposed, clear: which operations a fault concerns."""

from __future__ import annotations

import pytest

from chaos.model.evidence import Evidence
from chaos.model.operation import Operation
from chaos.model.wire_record import WireRecord
from chaos.oracles.concern import Concern, find_concerns, until_ns
from tests.oracles.build import (
    ACCEPTED,
    NO_ANSWER,
    SECOND,
    closed,
    exchange,
    fault,
    operation,
    plan,
    run,
    with_fault,
)

HIT = Concern(fault="broken", link="gateway>provider", hit=True)
EXPOSED = Concern(fault="broken", link="gateway>provider", hit=False)


def concern(evidence: Evidence) -> tuple[Concern, ...]:
    """What concerns the first operation."""
    return find_concerns(evidence).of[0]


def one(at_s: float, *wire: WireRecord, **fields: object) -> Evidence:
    """A run with one operation at that second."""
    return run(plan(fault()), operation(at_s, **fields), wire=wire)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("at_s", "took_ms", "expected"),
    [
        (19.0, 999, ()),  # over before the onset
        (19.0, 1000, (EXPOSED,)),  # reaches it
        (22.0, 50, (EXPOSED,)),
        (26.0, 50, (EXPOSED,)),  # heal + settle
        (26.001, 50, ()),
    ],
)
def test_exposure_is_overlap(at_s: float, took_ms: float, expected: tuple[Concern, ...]) -> None:
    """Exposed is who overlaps [onset, heal + settle]."""
    assert concern(one(at_s, took_ms=took_ms)) == expected


@pytest.mark.parametrize("answer", [NO_ANSWER, ACCEPTED])
def test_without_an_answer_the_wait_counts(answer: object) -> None:
    """An operation without an answer lasts until D + max(2 s, D)."""
    waiting = operation(16.5, answer)  # type: ignore[arg-type]
    assert until_ns(waiting) == int(20.5 * SECOND)
    assert concern(run(plan(fault()), waiting, wire=())) == (EXPOSED,)


def test_a_route_that_misses_the_link_is_clear() -> None:
    """The operation's own route counts, not its workload's."""
    evidence = run(
        plan(fault("latency", "rag>postgres"), workloads=("rag", "gateway")), operation(22, workload="gateway")
    )
    assert concern(evidence) == ()


def test_a_late_start_counts_from_when_it_happened() -> None:
    """Intended in the fault, started after settle: not exposed."""
    assert concern(one(25.9, late_ms=200)) == ()


def test_hit_by_trace_id() -> None:
    """The reply that the fault acted on has no trace id of its own: its request on the connection has."""
    asked = operation(22)
    assert concern(run(plan(fault()), asked, wire=exchange(asked, "gateway>provider", "broken"))) == (HIT,)


def test_hit_by_trace_id_over_nats() -> None:
    """A connection carries everyone's messages; the message that the fault acted on says whose it is."""
    asked, other = operation(22, workload="agent"), operation(22.5, workload="agent")
    wire = exchange(asked, "agent>nats", "broken") + exchange(other, "agent>nats")
    evidence = run(plan(fault("latency", "agent>nats"), workloads=("agent",)), asked, other, wire=wire)
    assert [found[0].hit for found in find_concerns(evidence).of] == [True, False]


def test_a_hit_needs_a_traced_link() -> None:
    """A trace id on a link that is not marked traced proves nothing when others used the connection, too."""
    asked, other = operation(22), operation(22.5)
    wire = exchange(asked, "rag>postgres", "broken") + exchange(other, "rag>postgres")
    evidence = run(plan(fault("latency", "rag>postgres")), asked, other, wire=wire)
    assert concern(evidence) == (Concern(fault="broken", link="rag>postgres", hit=False),)


def test_a_connection_that_served_only_one_operation_hits_it() -> None:
    """A cut of a connection that nobody else used is a hit."""
    asked = operation(22)
    wire = (exchange(asked, "gateway>provider")[0], closed("gateway>provider", "broken", at_s=22.01, connection=1))
    assert concern(run(plan(fault()), asked, wire=wire)) == (HIT,)


def test_a_pooled_connection_cut_later_hits_nobody() -> None:
    """The operation was answered before its connection was cut at rest."""
    asked = operation(19)
    wire = (*exchange(asked, "gateway>provider", status="200"), closed("gateway>provider", "broken", connection=1))
    evidence = run(plan(fault()), asked, wire=wire)
    assert concern(evidence) == ()
    assert find_concerns(evidence).closed == {("broken", "gateway>provider"): 1}


def test_a_shared_connection_hits_nobody() -> None:
    """Two traces on the connection: its cut cannot be told to be of one."""
    first, second = operation(21.99), operation(22)
    wire = (
        exchange(first, "gateway>provider")[0],
        exchange(second, "gateway>provider")[0],
        closed("gateway>provider", "broken", at_s=22.01, connection=1),
    )
    assert concern(run(plan(fault()), first, second, wire=wire)) == (EXPOSED,)


def test_a_fault_that_never_began_exposes_nobody_but_leaves_doubt() -> None:
    """Armed, never seen to begin: the operations of its planned time are neither exposed nor surely clear."""
    evidence = with_fault(one(22), onset_ns=None, heal_ns=None)
    found = find_concerns(evidence)
    assert (found.of, found.doubtful) == (((),), {0})


def test_a_fault_never_seen_to_end_exposes_until_the_read_back() -> None:
    """The read-back at 24 s showed that it was gone; settle comes on top."""
    assert concern(with_fault(one(25.9), heal_ns=None)) == (EXPOSED,)
    assert concern(with_fault(one(26.1), heal_ns=None)) == ()


def test_without_a_read_back_it_exposes_to_the_end() -> None:
    """Nobody saw it end."""
    evidence = run(plan(fault()), operation(55), wire=(), heals=())
    assert concern(with_fault(evidence, heal_ns=None)) == (EXPOSED,)


def test_traces_of_strangers_hit_nobody() -> None:
    """A trace that the driver did not issue is no operation of this run."""
    stranger: Operation = operation(22, name="ask", workload="rag", probe=True)
    evidence = run(plan(fault()), operation(30), wire=exchange(stranger, "gateway>provider", "broken"))
    found = find_concerns(evidence)
    assert found.of == ((),)
    assert found.acted == {("broken", "gateway>provider"): 1}
