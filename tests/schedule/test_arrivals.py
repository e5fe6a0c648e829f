"""Arrivals and choices are functions of their seed and nothing else."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos.model.scenario import Arrivals
from chaos.model.workload import OperationKind
from chaos.schedule import ArrivalStream, OperationChoice, stream_rng

processes = st.sampled_from(list(Arrivals))
rates = st.floats(min_value=0.01, max_value=10_000)
seeds = st.integers(min_value=0, max_value=2**63)


def starts(process: Arrivals, rate: float, seed: int, count: int, first_ns: int = 0) -> list[int]:
    """The first `count` intended starts after `first_ns`."""
    stream = ArrivalStream(process, rate, stream_rng(seed, "w", "arrivals"))
    result = [first_ns]
    for _ in range(count):
        result.append(stream.after_ns(result[-1]))
    return result


@given(processes, rates, seeds)
def test_the_same_seed_gives_the_same_starts(process: Arrivals, rate: float, seed: int) -> None:
    """Two streams of one seed agree start by start."""
    assert starts(process, rate, seed, 20) == starts(process, rate, seed, 20)


@given(processes, rates, seeds)
def test_starts_strictly_increase(process: Arrivals, rate: float, seed: int) -> None:
    """Every start lies after the one before, however high the rate."""
    assert all(one < two for one, two in pairwise(starts(process, rate, seed, 50)))


@given(processes, rates, seeds, st.integers(min_value=0, max_value=2**60))
def test_gaps_do_not_depend_on_where_the_clock_stands(process: Arrivals, rate: float, seed: int, offset: int) -> None:
    """Shifting the first start shifts all others by the same amount."""
    plain = starts(process, rate, seed, 20)
    assert starts(process, rate, seed, 20, offset) == [one + offset for one in plain]


@given(rates, seeds)
def test_constant_gaps_are_equal(rate: float, seed: int) -> None:
    """A constant stream keeps one gap, that of its rate."""
    gaps = {two - one for one, two in pairwise(starts(Arrivals.CONSTANT, rate, seed, 20))}
    assert gaps == {max(1, round(1e9 / rate))}


@pytest.mark.parametrize("seed", range(5))
def test_poisson_keeps_its_rate_and_its_spread(seed: int) -> None:
    """Ten thousand exponential gaps have the mean 1/rate and a deviation as large as the mean."""
    gaps = [two - one for one, two in pairwise(starts(Arrivals.POISSON, 50, seed, 10_000))]
    mean = sum(gaps) / len(gaps)
    deviation = (sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) ** 0.5
    assert mean == pytest.approx(20e6, rel=0.05)
    assert deviation == pytest.approx(20e6, rel=0.1)


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan")])
def test_a_rate_that_is_none_is_refused(rate: float) -> None:
    """Zero, negative and NaN rates raise ValueError."""
    with pytest.raises(ValueError, match="rate"):
        ArrivalStream(Arrivals.POISSON, rate, stream_rng(1))


def test_streams_of_other_purposes_differ() -> None:
    """Arrivals of one workload say nothing about those of another."""
    assert stream_rng(1, "rag").random() != stream_rng(1, "agent").random()
    assert stream_rng(1, "a", "b").random() != stream_rng(1, "ab").random()


def kind(name: str, weight: int) -> OperationKind:
    """An operation of that weight."""
    return OperationKind(name=name, route=("driver>api",), weight=weight)


@given(st.lists(st.integers(min_value=0, max_value=9), min_size=1, max_size=5).filter(any), seeds)
def test_weightless_operations_are_never_drawn(weights: list[int], seed: int) -> None:
    """Only operations with a weight are drawn, and the same ones for the same seed."""
    kinds = [kind(f"op{index}", weight) for index, weight in enumerate(weights)]
    one, two = (OperationChoice(kinds, stream_rng(seed, "choice")) for _ in range(2))
    drawn = [one.draw() for _ in range(30)]
    assert drawn == [two.draw() for _ in range(30)]
    assert all(operation.weight > 0 for operation in drawn)


def test_weights_are_shares() -> None:
    """Three to one is drawn about three to one."""
    choice = OperationChoice([kind("ask", 3), kind("ingest", 1)], stream_rng(3, "choice"))
    asked = sum(choice.draw().name == "ask" for _ in range(10_000))
    assert asked == pytest.approx(7500, rel=0.05)


def test_no_operation_is_refused() -> None:
    """A workload of nothing but weight 0 raises ValueError."""
    with pytest.raises(ValueError, match="weight"):
        OperationChoice([kind("ask", 0)], stream_rng(1))


def test_repr_says_what_it_is() -> None:
    """One line of state."""
    assert repr(ArrivalStream(Arrivals.POISSON, 5, stream_rng(1))) == "<ArrivalStream poisson 5/s>"
    assert repr(OperationChoice([kind("ask", 3)], stream_rng(1))) == "<OperationChoice ask: 3>"
