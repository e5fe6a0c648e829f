"""Abort conditions: windows, samples and bounds on hand-made answers and an injected clock."""

from __future__ import annotations

import time
from math import ceil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaos.engine.abort import AbortWatch
from chaos.model.duration import format_ms
from chaos.model.operation import Answer, AnswerKind, EffectState, Operation
from chaos.model.scenario import AbortMetric, AbortWhen

SECOND = 1_000_000_000


def operation(end_s: float, *, ok: bool = True, took_ms: float = 20, late_ms: float = 0, **more: object) -> Operation:
    """An operation answered at that second."""
    end_ns = int(end_s * SECOND)
    intended_ns = end_ns - int(took_ms * 1e6)
    given = {"workload": "rag", "probe": False, **more}
    return Operation(
        op_id="o", name="ask", index=0, intended_ns=intended_ns, start_ns=intended_ns + int(late_ms * 1e6), end_ns=end_ns,
        deadline_ms=2000, answer=Answer(kind=AnswerKind.OK if ok else AnswerKind.ERROR), effect=EffectState.READ,
        trace_id="t", route=(), **given,  # type: ignore[arg-type]
    )  # fmt: skip


def watch(*conditions: AbortWhen, operations: list[Operation]) -> AbortWatch:
    """A watch that was told these operations as they ended."""
    made = AbortWatch(conditions, late_ms=100)
    for one in operations:
        made.add(one, one.end_ns)
    return made


ERRORS = AbortWhen(metric=AbortMetric.ERROR_RATE, above=0.5, window_ms=2000, samples=50)


def test_more_errors_than_the_bound_stop() -> None:
    """The sentence says what was seen, over which window, and the bound."""
    half = [operation(1 + i / 100, ok=i % 2 == 0) for i in range(60)]
    assert watch(ERRORS, operations=half).met(2 * SECOND) is None
    more = [operation(1 + i / 100, ok=i % 3 == 0) for i in range(60)]
    met = watch(ERRORS, operations=more).met(2 * SECOND)
    assert met is not None
    assert met.why == "error_rate was 66.7% over the last 2s (60 operations), above the bound of 50%"


def test_too_few_operations_stop_nothing() -> None:
    """49 errors of 49 are no evidence yet, 50 are."""
    errors = [operation(1 + i / 100, ok=False) for i in range(50)]
    assert watch(ERRORS, operations=errors[:49]).met(2 * SECOND) is None
    assert watch(ERRORS, operations=errors).met(2 * SECOND) is not None


def test_a_window_forgets() -> None:
    """What is older than the window does not count any more."""
    made = watch(ERRORS, operations=[operation(1 + i / 100, ok=False) for i in range(60)])
    assert made.met(2 * SECOND) is not None
    assert made.met(4 * SECOND) is None


def test_only_the_workload_that_is_named_counts() -> None:
    """Errors of another workload are not its own; probes are nobody's."""
    condition = AbortWhen(metric=AbortMetric.ERROR_RATE, above=0.5, window_ms=2000, samples=50, workload="agent")
    errors = [operation(1 + i / 100, ok=False) for i in range(60)]
    probes = [operation(1 + i / 100, ok=False, workload="agent", probe=True) for i in range(60)]
    assert watch(condition, operations=[*errors, *probes]).met(2 * SECOND) is None
    own = [operation(1 + i / 100, ok=False, workload="agent") for i in range(60)]
    met = watch(condition, operations=own).met(2 * SECOND)
    assert met is not None
    assert met.why.startswith("error_rate of agent was 100%")


def test_the_99th_percentile_counts_from_the_intended_start() -> None:
    """One of a hundred may be slow, two may not."""
    condition = AbortWhen(metric=AbortMetric.P99, above=1000, window_ms=5000, samples=50)
    quick = [operation(1 + i / 100) for i in range(98)]
    one_slow = [*quick, operation(2), operation(2, took_ms=1500)]
    assert watch(condition, operations=one_slow).met(3 * SECOND) is None
    two_slow = [*quick, operation(2, took_ms=1500), operation(2, took_ms=1500)]
    met = watch(condition, operations=two_slow).met(3 * SECOND)
    assert met is not None
    assert met.why == "p99 was 1.5s over the last 5s (100 operations), above the bound of 1s"


@pytest.mark.parametrize(("late", "stops"), [(10, False), (11, True)])
def test_late_starts_are_those_beyond_the_setting(late: int, stops: bool) -> None:
    """A driver that starts late does not drive what was asked for."""
    condition = AbortWhen(metric=AbortMetric.LATE_STARTS, above=0.1, window_ms=5000, samples=50)
    operations = [operation(1, took_ms=300, late_ms=150 if i < late else 50) for i in range(100)]
    assert (watch(condition, operations=operations).met(2 * SECOND) is not None) is stops


def test_an_operation_without_an_answer_took_as_long_as_it_was_waited_for() -> None:
    """It counts when it is known."""
    condition = AbortWhen(metric=AbortMetric.P99, above=3000, window_ms=5000, samples=50)
    silent = [operation(0, took_ms=-1000 * 1) for _ in range(50)]
    made = AbortWatch((condition,), late_ms=100)
    for one in silent:
        made.add(one, 5 * SECOND)
    assert made.met(5 * SECOND) is not None


@settings(max_examples=30)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 400), st.booleans(), st.integers(0, 40), st.booleans(), st.sampled_from(["rag", "agent"])
        ),
        min_size=60,
        max_size=200,
    ),
    st.sampled_from(AbortMetric),
    st.sampled_from(["", "rag"]),
    st.integers(1, 5),
)
def test_counting_finds_what_sorting_finds(
    rows: list[tuple[int, bool, int, bool, str]], metric: AbortMetric, workload: str, window_s: int
) -> None:
    """Looked at after every operation: what the window comes to when all of it is looked at anew, to the last digit."""
    above = 20.0 if metric is AbortMetric.P99 else 0.3
    condition = AbortWhen(metric=metric, above=above, window_ms=window_s * 1000, samples=50, workload=workload)
    made, seen, now_s = AbortWatch((condition,), late_ms=100), [], 100.0
    for gap_ms, ok, took_ms, late, name in rows:
        now_s += gap_ms / 1000
        one = operation(now_s, ok=ok, took_ms=took_ms, late_ms=200 * late, workload=name)
        made.add(one, one.end_ns)
        seen.append(one)
        met = made.met(one.end_ns)
        value = anew(condition, seen, one.end_ns)
        assert (met is not None) == (value is not None and value > above)
        if met is not None and metric is AbortMetric.P99:
            assert f"was {format_ms(value or 0)} over" in met.why


def anew(condition: AbortWhen, operations: list[Operation], now_ns: int) -> float | None:
    """The metric of the window, from all its operations; None if they are too few."""
    inside = [
        one
        for one in operations
        if one.end_ns >= now_ns - condition.window_ms * 1e6 and condition.workload in {"", one.workload}
    ]
    if len(inside) < condition.samples:
        return None
    if condition.metric is AbortMetric.ERROR_RATE:
        return sum(not one.ok for one in inside) / len(inside)
    if condition.metric is AbortMetric.LATE_STARTS:
        return sum(one.start_ns - one.intended_ns > 100e6 for one in inside) / len(inside)
    return sorted((one.end_ns - one.intended_ns) / 1e6 for one in inside)[ceil(0.99 * len(inside)) - 1]


def test_a_look_at_a_long_window_is_short() -> None:
    """Ten minutes at hundreds of operations a second: a look costs what changed, whatever the window holds."""
    condition = AbortWhen(metric=AbortMetric.P99, above=1e9, window_ms=600_000, samples=50)
    made = AbortWatch((condition,), late_ms=100)
    one = operation(1)
    for number in range(200_000):
        made.add(one, number * 3_000_000)
    began = time.process_time()
    for second in range(600, 610):
        assert made.met(second * SECOND) is None
    assert (time.process_time() - began) / 10 < 0.02
