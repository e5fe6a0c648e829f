"""The timeline says of each fault whether it is to come, on, or over."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chaos.model.fault import FaultSpec
from chaos.schedule import FaultState, active_faults, fault_state, next_change_ms, pending_faults

times = st.floats(min_value=0, max_value=1e6)
faults = st.builds(
    lambda at, lasts: FaultSpec(name="f", kind="refuse", links=("a>b",), at_ms=at, for_ms=lasts),
    times,
    st.floats(min_value=1, max_value=1e5),
)


def test_a_fault_is_on_from_its_start_up_to_its_end() -> None:
    """The interval is closed at the start and open at the end."""
    fault = FaultSpec(name="f", kind="refuse", links=("a>b",), at_ms=100, for_ms=50)
    states = [fault_state(fault, now) for now in (99.9, 100, 149.9, 150)]
    assert states == [FaultState.PENDING, FaultState.ACTIVE, FaultState.ACTIVE, FaultState.OVER]


@given(st.lists(faults, max_size=6), times)
def test_nothing_changes_before_the_next_change(some: list[FaultSpec], now: float) -> None:
    """Between now and just before the next edge, the set of active faults stays the same; at the edge no edge is left behind."""
    edge = next_change_ms(some, now)
    if edge is None:
        assert not active_faults(some, now)
        assert not pending_faults(some, now)
    else:
        middle = now + (edge - now) / 2
        if middle < edge:
            assert active_faults(some, middle) == active_faults(some, now)
        assert edge > now


@given(st.lists(faults, max_size=6))
def test_stepping_over_the_edges_ends_every_fault(some: list[FaultSpec]) -> None:
    """Going from edge to edge visits at most two per fault and ends with none active or pending."""
    now, steps = -1.0, 0
    while (edge := next_change_ms(some, now)) is not None:
        now, steps = edge, steps + 1
    assert steps <= 2 * len(some)
    assert all(fault_state(fault, now) is FaultState.OVER for fault in some)
