"""Counts, backlog and small parsers of the driver, without a process around them."""

from __future__ import annotations

from collections import Counter

import anyio
import msgspec
import pytest
from anyio.streams.memory import MemoryObjectReceiveStream
from hypothesis import given
from hypothesis import strategies as st

from chaos.model.event import EvidenceLost, LoopLagged, PhaseName
from chaos.model.operation import Answer, AnswerKind, EffectState, Operation
from chaos.workloads.counts import LoadCounts
from chaos.workloads.outbox import Outbox
from chaos.workloads.protocol import (
    Command,
    Drain,
    Drained,
    DriverPlan,
    Endpoints,
    OperationsBatch,
    Phase,
    Probe,
    Quit,
    Ready,
    Report,
    Setup,
    Start,
    StopLoad,
    decode_command,
    decode_report,
    encode_frame,
)
from chaos.workloads.sse import read_events
from tests.workloads.rig import driver_plan, kind_plan

PHASES = [PhaseName.BASELINE, PhaseName.FAULTS, PhaseName.HEAL, PhaseName.RECOVERY]
starts = st.lists(
    st.tuples(st.integers(min_value=0, max_value=10**10), st.sampled_from(["agent", "rag"]), st.sampled_from("sld")),
    max_size=40,
)
edges = st.lists(st.integers(min_value=0, max_value=10**10), min_size=4, max_size=4).map(sorted)


@given(starts, edges, st.lists(st.integers(min_value=0, max_value=10**10), max_size=5))
def test_every_start_counts_once_and_in_its_phase(
    some: list[tuple[int, str, str]], from_ns: list[int], reports: list[int]
) -> None:
    """However often totals are reported, the last ones hold each start once, in the phase of its intended time."""
    counts = LoadCounts()
    for phase, at_ns in zip(PHASES, from_ns, strict=True):
        counts.phase(phase, at_ns)
    for intended_ns, workload, what in some:
        if what == "d":
            counts.dropped(workload, intended_ns)
        else:
            counts.started(workload, intended_ns, late=what == "l")
    events = [one for now in sorted(reports) for one in counts.report(now)] + counts.report(10**11, final=True)
    last = {(one.workload, one.phase): one for one in events}

    def phase_of(t_ns: int) -> PhaseName:
        return [PhaseName.BRING_UP, *PHASES][sum(edge <= t_ns for edge in from_ns)]

    expected = Counter((workload, phase_of(t_ns), what) for t_ns, workload, what in some)
    for (workload, phase), one in last.items():
        started, late = expected[workload, phase, "s"], expected[workload, phase, "l"]
        assert (one.started, one.late, one.dropped) == (started + late, late, expected[workload, phase, "d"])
    assert {key[:2] for key in expected} == last.keys()
    assert counts.report(10**12, final=True) == []


def test_a_phase_announced_late_still_gets_its_starts() -> None:
    """Young starts wait for the phase they may belong to."""
    counts = LoadCounts()
    counts.started("rag", 1_000_000_000, late=False)
    assert counts.report(1_100_000_000) == []
    counts.phase(PhaseName.FAULTS, 900_000_000)
    assert [one.phase for one in counts.report(2_000_000_000)] == [PhaseName.FAULTS]


def operation(index: int) -> Operation:
    """An operation with that index."""
    return Operation(
        op_id=f"op-{index}",
        workload="rag",
        name="ask",
        index=index,
        intended_ns=0,
        start_ns=0,
        end_ns=1,
        deadline_ms=1.0,
        answer=Answer(kind=AnswerKind.OK),
        effect=EffectState.READ,
        trace_id="",
        route=("driver>api",),
    )


def everything(stream: MemoryObjectReceiveStream[bytes]) -> list[Report]:
    """The reports sent so far."""
    frames = []
    while stream.statistics().current_buffer_used:
        frames.append(stream.receive_nowait())
    return [decode_report(frame[4:]) for frame in frames]


async def test_the_outbox_keeps_the_order_and_makes_batches() -> None:
    """Operations in a row travel together; reports between them stay between them."""
    send, receive = anyio.create_memory_object_stream[bytes](100)
    with send, receive:
        outbox = Outbox(send)
        lag = LoopLagged(t_ns=1, start_ns=0, end_ns=1)
        for item in (operation(0), operation(1), lag, operation(2), Drained(abandoned=0)):
            outbox.put(item)
        outbox.close()
        await outbox.run()
        first, second, third, fourth = everything(receive)
    assert isinstance(first, OperationsBatch)
    assert [one.index for one in first.operations] == [0, 1]
    assert (second, fourth) == (lag, Drained(abandoned=0))
    assert third == OperationsBatch(operations=(operation(2),))


async def test_beyond_the_backlog_evidence_is_counted_as_lost_and_replies_are_not() -> None:
    """A conductor that does not read costs evidence, never a reply, and is told how much."""
    send, receive = anyio.create_memory_object_stream[bytes](100)
    with send, receive:
        outbox = Outbox(send, backlog=3)
        for index in range(5):
            outbox.put(operation(index))
        outbox.put(Ready())
        assert repr(outbox) == "<Outbox 4 waiting, 2 lost>"
        outbox.close()
        await outbox.run()
        batch, reply, lost = everything(receive)
    assert isinstance(batch, OperationsBatch)
    assert [one.index for one in batch.operations] == [0, 1, 2]
    assert reply == Ready()
    assert isinstance(lost, EvidenceLost)
    assert lost.count == 2


PLAN = driver_plan(
    kind_plan("rag"),
    endpoints=Endpoints(api="http://127.0.0.1:1", nats="nats://u:pass-word@127.0.0.1:2"),
    key="a-secret",
)


@pytest.mark.parametrize(
    "command",
    [
        Setup(plan=PLAN, within_s=1.5),
        Start(at_ns=7),
        Phase(phase=PhaseName.HEAL, at_ns=9),
        Probe(k=5, within_ms=1.0, limits_ms={"rag.ask": 2.0}),
        StopLoad(),
        Drain(within_s=2.0),
        Quit(),
    ],
)
def test_commands_arrive_as_they_were_sent(command: Command) -> None:
    """Encoding and decoding a command gives the same command, plan included."""
    frame = encode_frame(command)
    assert int.from_bytes(frame[:4], "big") == len(frame) - 4
    assert decode_command(frame[4:]) == command


def test_secrets_do_not_show_in_a_repr() -> None:
    """Neither plan nor endpoints print the digest key or the NATS password, wherever they are nested."""
    shown = repr(PLAN) + repr(PLAN.endpoints) + repr(Setup(plan=PLAN, within_s=1.0))
    assert isinstance(PLAN, DriverPlan)
    assert "a-secret" not in shown
    assert "pass-word" not in shown


@given(st.binary(max_size=200))
def test_nonsense_is_a_decode_error(payload: bytes) -> None:
    """Whatever comes over the socket, decoding raises nothing but what its readers catch."""
    for decode in (decode_command, decode_report):
        try:
            decode(payload)
        except msgspec.MsgspecError:
            continue


@pytest.mark.parametrize(
    ("body", "events"),
    [
        (b"data: a\n\n", [("message", "a")]),
        (b"data:a\ndata: b\n\n", [("message", "a\nb")]),
        (b"event: error\r\ndata: {}\r\n\r\ndata: x\r\n\r\n", [("error", "{}"), ("message", "x")]),
        (b": comment\n\ndata: a\n\n", [("message", "a")]),
        (b"data: a\n\ndata: cut", [("message", "a")]),
        (b"data: a\n\ndata: cut\n", [("message", "a")]),
        (b"event: alone\n\ndata: a\n\n", [("message", "a")]),
        (b"", []),
    ],
)
def test_server_sent_events(body: bytes, events: list[tuple[str, str]]) -> None:
    """Whole events only, with their names; what the end of the body cut off is discarded."""
    assert list(read_events(body)) == events
