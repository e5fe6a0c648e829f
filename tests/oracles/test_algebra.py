"""The algebra of cells as a table, and its laws."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos.model.settings import Settings
from chaos.model.verdict import Cell, Verdict
from chaos.oracles.algebra import Counts, add_up, required_operations, roll_up

CELL = Cell(oracle="bounded", fault="broken", workload="rag")
HOLDS, VIOLATED, UNKNOWN, NOT_JUDGED = Verdict.HOLDS, Verdict.VIOLATED, Verdict.UNKNOWN, Verdict.NOT_JUDGED
SETTINGS = Settings()


@pytest.mark.parametrize(
    ("held", "violated", "undecided", "at_most", "verdict"),
    [
        (0, 0, 0, None, UNKNOWN),  # no operation
        (1, 0, 0, None, UNKNOWN),  # one
        (19, 0, 0, None, UNKNOWN),
        (20, 0, 0, None, HOLDS),
        (0, 1, 0, None, VIOLATED),  # one is enough
        (19, 1, 5, None, VIOLATED),
        (20, 0, 1, None, HOLDS),  # at most max(1, 1 %) undecided
        (20, 0, 2, None, UNKNOWN),
        (19, 0, 1, None, UNKNOWN),  # undecided ones are not decided
        (197, 0, 2, None, UNKNOWN),  # 1 % of 199 is 1.99
        (198, 0, 2, None, HOLDS),
        (1000, 0, 10, None, HOLDS),
        (1000, 0, 11, None, UNKNOWN),
        (0, 0, 1, None, UNKNOWN),  # only undecided: tolerated, yet nothing decided
        (0, 0, 50, None, UNKNOWN),
        (1, 0, 0, 1, HOLDS),  # a counted fault can hit one
        (2, 0, 0, 3, UNKNOWN),
        (3, 0, 0, 3, HOLDS),
        (20, 0, 0, 50, HOLDS),  # never more than the setting
        (0, 0, 0, 0, UNKNOWN),  # a fault that can hit nothing proves nothing
        (0, 0, 1, 1, UNKNOWN),
    ],
)
def test_a_cell_adds_up(held: int, violated: int, undecided: int, at_most: int | None, verdict: Verdict) -> None:
    """VIOLATED by any violation, HOLDS with enough decided and hardly any undecided, else UNKNOWN."""
    counts = Counts(held=held, violated=violated, undecided=undecided)
    result = add_up(CELL, counts, settings=SETTINGS, at_most=at_most)
    assert result.verdict is verdict
    assert (result.population, result.decided) == (held + violated + undecided, held + violated)


def test_a_masked_fault_holds_and_says_so() -> None:
    """A fault that fired and was answered ok every time is no missing evidence."""
    result = add_up(CELL, Counts(held=25, hit=7, masked=7), settings=SETTINGS)
    assert (result.verdict, result.masked) == (HOLDS, 7)
    assert "masked 7/7" in result.reason


def test_a_partly_masked_fault_does_not_claim_it() -> None:
    """One error among the hit ones, and nothing is said of masking."""
    assert "masked" not in add_up(CELL, Counts(held=25, hit=7, masked=6), settings=SETTINGS).reason


def test_the_reason_of_unknown_tells_why_operations_were_undecided() -> None:
    """A person learns what to mend."""
    result = add_up(CELL, Counts(held=20, undecided=9), settings=SETTINGS, why_undecided="the clock stepped")
    assert result.reason == "9 of 29 undecided: the clock stepped"


def test_settings_are_used() -> None:
    """A scenario may ask for fewer operations and tolerate more undecided ones."""
    settings = Settings(required_operations=3, undecided_ratio=0.5)
    assert add_up(CELL, Counts(held=3, undecided=3), settings=settings).verdict is HOLDS
    assert required_operations(Settings(required_operations=0)) == 1


@pytest.mark.parametrize(
    ("cells", "verdict"),
    [
        ([], UNKNOWN),
        ([NOT_JUDGED], UNKNOWN),
        ([HOLDS], HOLDS),
        ([HOLDS, NOT_JUDGED], HOLDS),
        ([HOLDS, UNKNOWN], UNKNOWN),
        ([UNKNOWN, VIOLATED, HOLDS], VIOLATED),
    ],
)
def test_a_run_rolls_up(cells: list[Verdict], verdict: Verdict) -> None:
    """VIOLATED > UNKNOWN > HOLDS, and nothing judged is UNKNOWN."""
    assert roll_up(cells) is verdict


NUMBERS = st.integers(min_value=0, max_value=3000)


@given(held=NUMBERS, violated=NUMBERS, undecided=NUMBERS, more=st.integers(min_value=1, max_value=50))
def test_more_violations_never_clear(held: int, violated: int, undecided: int, more: int) -> None:
    """Adding a violation gives VIOLATED; turning held into undecided never gives HOLDS where there was none."""
    before = add_up(CELL, Counts(held=held, violated=violated, undecided=undecided), settings=SETTINGS).verdict
    worse = add_up(CELL, Counts(held=held, violated=violated + more, undecided=undecided), settings=SETTINGS).verdict
    assert worse is VIOLATED
    hazy = add_up(
        CELL,
        Counts(held=max(0, held - more), violated=violated, undecided=undecided + min(held, more)),
        settings=SETTINGS,
    ).verdict
    assert not (hazy is HOLDS and before is not HOLDS)
