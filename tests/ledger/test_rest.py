"""When stores count as at rest: two quiet looks in a row, no more patience than they need, never longer than asked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos.ledger.rest import Look, Rest

BUSY = Look(("1 in outbox",), (1,))


def decided_after(looks: list[Look], *, every_s: float = 1.0, within_s: float = 100.0) -> tuple[int, Rest]:
    """How many of these looks it takes, and what was decided."""
    rest = Rest(0.0, within_s)
    for number, look in enumerate(looks, start=1):
        if rest.take(look, number * every_s):
            return number, rest
    raise AssertionError("never decided")


def test_two_quiet_looks_in_a_row_are_rest() -> None:
    """One alone may fall between two pieces of work."""
    number, rest = decided_after([Look(), BUSY, Look(), Look()])
    assert (number, rest.reached, rest.left) == (4, True, ())


def test_what_moved_between_two_quiet_looks_is_no_rest() -> None:
    """A message came and was worked off meanwhile."""
    number, rest = decided_after([Look((), (1,)), Look((), (2,)), Look((), (2,))])
    assert (number, rest.reached) == (3, True)


@pytest.mark.parametrize(("patience_s", "looks"), [(0.0, 6), (2.0, 8), (30.0, 36)])
def test_what_is_stuck_is_given_up(patience_s: float, looks: int) -> None:
    """Nothing moves for longer than any wait the store knows of, and a margin; what is left is told."""
    number, rest = decided_after([Look(("3 not acknowledged",), (7,), patience_s)] * 100)
    assert (number, rest.reached, rest.left) == (looks, False, ("3 not acknowledged",))


def test_what_moves_for_ever_ends_with_the_time() -> None:
    """A system that never comes to rest costs no more than was allowed."""
    number, rest = decided_after([Look(("redelivered",), (n,)) for n in range(100)], within_s=25.0)
    assert (number, rest.reached, rest.left) == (25, False, ("redelivered",))


def test_looks_add_up() -> None:
    """Stores are at rest together, with the patience of the slowest."""
    both = Look(("a",), (1,), 2.0) + Look(("b",), (2,), 30.0)
    assert (both.left, both.patience_s) == (("a", "b"), 30.0)
    assert Look() + Look() == Look() + Look()
    assert Look((), (1,)) + Look() != Look((), (2,)) + Look()


@given(
    st.lists(st.sampled_from([Look(), Look((), (1,)), BUSY, Look(("2 in outbox",), (2,))]), min_size=30, max_size=40)
)
def test_rest_is_never_claimed_while_something_is_left(looks: list[Look]) -> None:
    """Whatever comes in whatever order: it is decided in time, and rest was seen twice."""
    number, rest = decided_after(looks, within_s=30.0)
    assert rest.reached == (number >= 2 and not looks[number - 1].left and looks[number - 1] == looks[number - 2])
