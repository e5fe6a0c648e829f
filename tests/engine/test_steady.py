"""Steady state: the rule of the two windows, on hand-made answers and an injected clock."""

from __future__ import annotations

import pytest

from chaos.engine.steady import SteadyState
from chaos.model.operation import Answer, AnswerKind, EffectState, Operation
from chaos.model.scenario import Baseline
from chaos.model.settings import Settings

SECOND = 1_000_000_000
BASELINE = Baseline(window_ms=2000, min_operations=10, min_per_workload=5)


def answered(
    end_ms: float,
    latency_ms: float = 20,
    *,
    workload: str = "rag",
    name: str = "ask",
    ok: bool = True,
    code: str | None = "not_found",
) -> Operation:
    """An operation answered at `end_ms`."""
    end_ns = int(end_ms * 1e6)
    start_ns = end_ns - int(latency_ms * 1e6)
    return Operation(
        op_id="o", workload=workload, name=name, index=0, intended_ns=start_ns, start_ns=start_ns, end_ns=end_ns, deadline_ms=2000,
        answer=Answer(kind=AnswerKind.OK) if ok else Answer(kind=AnswerKind.ERROR, status=404, code=code, dependency="postgres"),
        effect=EffectState.READ, trace_id="t", route=(),
    )  # fmt: skip


def steady_after(
    operations: list[Operation], now_s: float, *, workloads: tuple[str, ...] = ("rag",)
) -> tuple[bool, str]:
    """Whether these answers are steady at that time, and why not."""
    state = SteadyState(BASELINE, Settings(), workloads)
    for operation in operations:
        state.add(operation)
    return state.reached(0, int(now_s * SECOND)), state.reason


def every(step_ms: float, start_ms: float, end_ms: float, **kwargs: object) -> list[Operation]:
    """One answer every `step_ms`."""
    count = int((end_ms - start_ms) / step_ms)
    return [answered(start_ms + step_ms * n, **kwargs) for n in range(count)]  # type: ignore[arg-type]


def test_two_alike_windows_are_steady() -> None:
    """Four seconds of equal answers fill two windows of two seconds."""
    assert steady_after(every(100, 100, 4100), 4.1)[0]


def test_one_window_is_not_enough() -> None:
    """Nothing is steady before two windows have passed."""
    assert not steady_after(every(100, 100, 3000), 3.0)[0]


def test_no_answer_is_not_steady() -> None:
    """Without answers there is no steady state, and the reason says so."""
    steady, reason = steady_after([], 60)
    assert not steady
    assert "were not filled" in reason or "no operation" in reason


def test_windows_are_prolonged_until_they_hold_enough() -> None:
    """At two answers a second a window of ten takes five seconds: nine seconds are too few, eleven suffice."""
    assert not steady_after(every(500, 500, 9000), 9.0)[0]
    assert steady_after(every(500, 500, 11_000), 11.0)[0]


def test_every_workload_counts() -> None:
    """A workload without its share of answers keeps the baseline open."""
    steady, reason = steady_after(every(100, 100, 4100), 4.1, workloads=("rag", "agent"))
    assert not steady
    assert "of each workload" in reason


def test_an_error_is_not_steady() -> None:
    """One error in forty answers is more than one in a thousand; the operation is named."""
    steady, reason = steady_after([*every(100, 100, 4100), answered(4000, ok=False)], 4.1)
    assert not steady
    assert reason == "1 of 41 answers were not ok (rag.ask: 404 not_found naming postgres)"


def test_the_reason_has_the_most_frequent_answers() -> None:
    """Three kinds of them, the most frequent first; that there were others is told."""
    bad = [
        answered(4000, ok=False, code=code)
        for count, code in ((5, None), (4, "a"), (3, "b"), (2, "c"))
        for _ in range(count)
    ]
    _, reason = steady_after([*every(100, 100, 4100), *bad], 4.1)
    named = [f"rag.ask: 404 {code}naming postgres" for code in ("", "a ", "b ")]
    assert reason == f"14 of 54 answers were not ok ({', '.join(named)}, ...)"


def test_an_old_error_leaves_the_windows() -> None:
    """Only the last two windows count: an error before them is forgotten."""
    assert steady_after([answered(100, ok=False), *every(100, 200, 8100)], 8.1)[0]


@pytest.mark.parametrize(("second_ms", "steady"), [(400, True), (496, True), (520, False), (240, False)])
def test_medians_within_a_quarter(second_ms: float, steady: bool) -> None:
    """A median of 400 ms may move by 25 %, not more, up or down."""
    first = every(100, 500, 2500, latency_ms=400)
    assert steady_after([*first, *every(100, 2550, 4600, latency_ms=second_ms)], 4.6)[0] is steady


def test_small_medians_have_a_floor() -> None:
    """From 5 to 45 ms is noise of the machine, not a change of the system."""
    assert steady_after([*every(100, 100, 2100, latency_ms=5), *every(100, 2150, 4200, latency_ms=45)], 4.2)[0]


def test_the_mix_of_operations_is_no_change() -> None:
    """Medians are compared per kind: more slow operations in one window do not count as a slower system."""
    slow = every(400, 110, 2100, name="ingest", latency_ms=300) + every(150, 2160, 4150, name="ingest", latency_ms=300)
    assert steady_after([*every(100, 100, 4100), *slow], 4.2)[0]
