"""The load is open-loop and honest: stalls show, dropped and late starts are counted, a stopped driver says so."""

from __future__ import annotations

import os
import signal
import time
from statistics import quantiles

import anyio

from chaos.model.event import PhaseName
from chaos.model.operation import AnswerKind
from chaos.schedule import ArrivalStream, OperationChoice, stream_rng
from chaos.workloads import identity
from tests.workloads.rig import RUN, driver_plan, kind_plan, running_driver
from tests.workloads.stand_in import stand_in


async def test_a_stall_shows_in_the_tail() -> None:
    """Operations meant to start during a stall of 200 ms are timed from their intended start: the tail shows the stall."""
    async with stand_in() as backend, running_driver() as rig:
        await rig.control.setup(
            driver_plan(kind_plan("gateway", "chat", rate=50), endpoints=backend.endpoints), within_s=20
        )
        await rig.control.start(time.monotonic_ns())
        await rig.seen.until(lambda seen: len(seen.operations) >= 20)
        backend.gate.clear()
        began_ns = time.monotonic_ns()
        await anyio.sleep(0.2)
        ended_ns = time.monotonic_ns()
        backend.gate.set()
        await rig.seen.until(lambda seen: any(one.intended_ns > ended_ns for one in seen.operations))
        await rig.control.stop_load()
        await rig.control.drain(10)
        await rig.control.quit()
    stalled = [one for one in rig.seen.operations if began_ns <= one.intended_ns < ended_ns]
    assert len(stalled) >= 8
    # None was answered before the stall was over: that is what a closed loop would hide.
    assert all(one.end_ns >= ended_ns for one in stalled)
    latencies = [one.latency_ms for one in rig.seen.operations if one.latency_ms is not None]
    assert quantiles(latencies, n=100)[98] >= 150


async def test_beyond_the_bound_a_start_is_dropped_and_counted() -> None:
    """With nothing answered, exactly `bound` operations are in flight and every other start is dropped, not queued."""
    async with stand_in() as backend, running_driver() as rig:
        plan = driver_plan(kind_plan("gateway", "chat", rate=50, bound=4), endpoints=backend.endpoints)
        await rig.control.setup(plan, within_s=20)
        await rig.control.phase(PhaseName.FAULTS)
        backend.gate.clear()
        await rig.control.start(time.monotonic_ns())
        await rig.seen.until(lambda seen: any(one.dropped >= 10 for one in seen.counts.values()))
        assert len(backend.asked) == 4
        await rig.control.stop_load()
        backend.gate.set()
        assert await rig.control.drain(10) == 0
        await rig.control.quit()
    counted = rig.seen.counts["gateway", PhaseName.FAULTS]
    assert counted.started == 4
    assert [one.index for one in rig.seen.operations] == [0, 1, 2, 3]


async def test_a_stopped_driver_reports_the_gap_and_its_late_starts() -> None:
    """SIGSTOP for 300 ms shows as one lag interval that covers it; starts missed meanwhile are made up for and counted as late."""
    async with stand_in() as backend, running_driver() as rig:
        await rig.control.setup(
            driver_plan(kind_plan("gateway", "chat", rate=50), endpoints=backend.endpoints), within_s=20
        )
        await rig.control.phase(PhaseName.FAULTS, at_ns=0)
        await rig.control.start(time.monotonic_ns())
        await rig.seen.until(lambda seen: len(seen.operations) >= 5)
        os.kill(rig.process.pid, signal.SIGSTOP)
        stopped_ns = time.monotonic_ns()
        await anyio.sleep(0.3)
        resumed_ns = time.monotonic_ns()
        os.kill(rig.process.pid, signal.SIGCONT)
        await rig.seen.until(lambda seen: any(one.end_ns >= resumed_ns for one in seen.lags))
        await rig.seen.until(lambda seen: any(one.intended_ns >= resumed_ns for one in seen.operations))
        await rig.control.stop_load()
        await rig.control.drain(10)
        await rig.control.quit()
    covering = [one for one in rig.seen.lags if one.start_ns <= stopped_ns + 50_000_000 and one.end_ns >= resumed_ns]
    assert len(covering) == 1
    missed = [one for one in rig.seen.operations if stopped_ns < one.intended_ns < resumed_ns]
    assert len(missed) >= 10
    assert all(one.start_ns >= resumed_ns for one in missed)
    assert rig.seen.counts["gateway", PhaseName.FAULTS].late >= 5
    indexes = [one.index for one in rig.seen.operations]
    assert sorted(indexes) == list(range(len(indexes)))


async def test_starts_are_those_of_the_schedule() -> None:
    """Intended starts, kinds and ids of what was sent are the pure functions of seed, run and index."""
    at_ns = time.monotonic_ns() + 100_000_000
    workload = kind_plan("gateway", "chat", "stream", rate=50)
    async with stand_in() as backend, running_driver() as rig:
        await rig.control.setup(driver_plan(workload, endpoints=backend.endpoints), within_s=20)
        at_ns = time.monotonic_ns()
        await rig.control.start(at_ns)
        await rig.seen.until(lambda seen: len(seen.operations) >= 30)
        await rig.control.quit()
    arrivals = ArrivalStream(workload.spec.arrivals, 50, stream_rng(7, "gateway", "arrivals"))
    choice = OperationChoice(workload.operations, stream_rng(7, "gateway", "choice"))
    expected: dict[int, tuple[int, str]] = {}
    for index in range(1000):
        at_ns = arrivals.after_ns(at_ns)
        expected[index] = (at_ns, choice.draw().name)
    for one in rig.seen.operations:
        assert (one.intended_ns, one.name) == expected[one.index]
        assert one.op_id == identity.op_id(RUN, "gateway", one.index)
        assert one.trace_id == identity.trace_id(7, one.op_id)
        assert one.start_ns >= one.intended_ns  # never early
    sent = {asked.headers["baggage"]: asked.headers for asked in backend.asked}
    for one in rig.seen.operations:
        headers = sent[f"op.id={one.op_id}"]
        assert headers["traceparent"] == f"00-{one.trace_id}-{identity.root_span_id(7, one.op_id)}-01"
        assert headers["x-budget-ms"] == "2000"


async def test_phases_are_told_apart_by_the_intended_start() -> None:
    """A phase announced late still gets the starts that were intended in it, and every start is counted once."""
    async with stand_in() as backend, running_driver() as rig:
        await rig.control.setup(
            driver_plan(kind_plan("gateway", "chat", rate=50), endpoints=backend.endpoints), within_s=20
        )
        begin_ns = time.monotonic_ns()
        await rig.control.phase(PhaseName.BASELINE, at_ns=begin_ns)
        await rig.control.start(begin_ns)
        await rig.seen.until(lambda seen: len(seen.operations) >= 10)
        edge_ns = time.monotonic_ns()
        await rig.seen.until(lambda seen: any(one.intended_ns > edge_ns for one in seen.operations))
        await rig.control.phase(PhaseName.FAULTS, at_ns=edge_ns)
        await rig.seen.until(lambda seen: len(seen.operations) >= 30)
        await rig.control.stop_load()
        await rig.control.drain(10)
        await rig.control.quit()
    for phase, first_ns, last_ns in ((PhaseName.BASELINE, 0, edge_ns), (PhaseName.FAULTS, edge_ns, 1 << 62)):
        inside = sum(first_ns <= one.intended_ns < last_ns for one in rig.seen.operations)
        assert rig.seen.counts["gateway", phase].started == inside


async def test_waiting_ends_at_twice_the_deadline_or_two_seconds_past_it() -> None:
    """An operation nobody answers ends as `none` without an end, not before its wait is over."""
    async with stand_in() as backend, running_driver() as rig:
        plan = driver_plan(kind_plan("gateway", "chat", rate=50, bound=1, deadline_ms=100), endpoints=backend.endpoints)
        await rig.control.setup(plan, within_s=20)
        backend.gate.clear()
        began_ns = time.monotonic_ns()
        await rig.control.start(began_ns)
        await rig.seen.until(lambda seen: bool(seen.operations))
        seen_ns = time.monotonic_ns()
        await rig.control.quit()
    one = rig.seen.operations[0]
    assert (one.answer.kind, one.end_ns, one.latency_ms) == (AnswerKind.NONE, 0, None)
    assert seen_ns - one.start_ns >= 2_100_000_000
    assert backend.asked[0].headers["x-budget-ms"] == "100"


async def test_a_conductor_that_does_not_read_stops_nothing() -> None:
    """While the conductor's loop is blocked for a second, starts go on in time."""
    async with stand_in() as backend, running_driver() as rig:
        plan = driver_plan(kind_plan("gateway", "chat", rate=50, bound=200), endpoints=backend.endpoints)
        await rig.control.setup(plan, within_s=20)
        await rig.control.start(time.monotonic_ns())
        await rig.seen.until(lambda seen: len(seen.operations) >= 5)
        blocked_ns = time.monotonic_ns()
        time.sleep(1)
        freed_ns = time.monotonic_ns()
        await rig.control.stop_load()
        await rig.control.drain(10)
        await rig.control.quit()
    meanwhile = [one for one in rig.seen.operations if blocked_ns < one.start_ns < freed_ns]
    assert len(meanwhile) >= 10
    assert rig.seen.lost == []
