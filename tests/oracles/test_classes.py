"""What each fault explains: the statuses that a caller may rightly be answered while it lasts."""

from __future__ import annotations

import pytest

from chaos.model.fault import FAULT_KINDS, FaultSpec
from chaos.oracles.classes import allowed_statuses

SILENT = {"duplicate"}  # nobody is kept from answering


def fault(kind: str, **more: object) -> FaultSpec:
    """A fault of that kind."""
    return FaultSpec(name="f", kind=kind, links=("a>b",), at_ms=0, for_ms=1, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", sorted(FAULT_KINDS.keys() - SILENT - {"error"}))
def test_every_fault_explains_some_error(kind: str) -> None:
    """Every kind of fault that keeps callees from answering allows 503 and 504 at least, and never a 500."""
    assert allowed_statuses(fault(kind)) >= {503, 504}
    assert 500 not in allowed_statuses(fault(kind))


@pytest.mark.parametrize("kind", sorted(SILENT))
def test_what_loses_nothing_explains_nothing(kind: str) -> None:
    """A message that comes twice is no reason for an error."""
    assert not allowed_statuses(fault(kind))


@pytest.mark.parametrize(
    ("answer", "statuses"),
    [
        ("429", {429, 503}),
        ("503", {502, 503, 504}),
        ("500", {502, 503, 504}),
        ("40001", {409, 503}),
        ("40P01", {409, 503}),
        ("53300", {502, 503, 504}),
        ("no-responders", {502, 503, 504}),
    ],
)
def test_an_injected_error_explains_what_a_caller_may_make_of_it(answer: str, statuses: set[int]) -> None:
    """Too many requests may be passed up, a lost race may be a conflict; all other errors are a dependency's failure."""
    assert allowed_statuses(fault("error", answer=answer)) == statuses


@pytest.mark.parametrize(
    ("more", "most"),
    [
        ({}, None),
        ({"count": {"first": 3}}, 3),
        ({"count": {"nth": 7}}, 1),
        ({"count": {"every": 3}}, None),
        ({"count": {"first": 2}, "per": "operation"}, None),
    ],
)
def test_a_counted_fault_can_hit_only_so_many(more: dict[str, object], most: int | None) -> None:
    """`first` and `nth` of a link are an upper bound, everything else is none."""
    assert fault("cut", **more).at_most == most
