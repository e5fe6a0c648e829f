"""Op ids and effects as data: whose an op id is, and what the reference system declares."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos.model.effect import OpIdIn, StreamRead
from chaos.model.op_ids import PROBE_INDEX, SEED_WORKLOAD, op_id, origin_of
from chaos.workloads.kinds import REFERENCE_WORKLOADS
from chaos.workloads.reference_effects import reference_ledger

OPERATIONS = [one for kind in REFERENCE_WORKLOADS for one in kind.operations]


@given(
    st.sampled_from(["agent", "my tasks", "a" * 40, "---", SEED_WORKLOAD]),
    st.one_of(st.integers(0, 10_000), st.integers(PROBE_INDEX, PROBE_INDEX + 100)),
)
def test_an_op_id_tells_whose_it_is(workload: str, index: int) -> None:
    """Workload and index come back, whatever the workload is called; under another run it belongs to nobody."""
    known = ("rag", workload, "other")
    text = op_id("run-1", workload, index)
    assert origin_of(text, "run-1", known) == (workload, index)
    assert origin_of(text, "run-2", known) is None
    assert origin_of(text, "run-1", ("rag", "other")) is None


@given(st.one_of(st.text(), st.from_regex(r"agent-\d{1,20}-[0-9a-f]{10}", fullmatch=True)))
def test_what_is_no_op_id_of_the_run_is_nobodys(text: str) -> None:
    """Any text, one that looks like an op id too: only the right digest makes it ours."""
    assert origin_of(text, "run-1", ("agent",)) is None


def test_operations_that_write_say_what_they_leave() -> None:
    """Each effect is declared, a completion is one of the effects, and only what writes leaves any."""
    ledger = reference_ledger()
    declared = {one.name for one in ledger.effects}
    assert len(declared) == len(ledger.effects)
    for one in OPERATIONS:
        assert bool(one.effects) == one.writes
        assert set(one.effects) <= declared
        assert (one.completion in one.effects) == one.asynchronous
    assert {effect for one in OPERATIONS for effect in one.effects} == declared


def test_an_effect_that_is_not_declared_is_a_mistake() -> None:
    """Asking for it raises."""
    assert reference_ledger("own").effect("task").store == "postgres"
    with pytest.raises(KeyError):
        reference_ledger().effect("nothing")


@pytest.mark.parametrize(
    ("key", "right"),
    [("1", True), ("-1", True), ("10", True), ("0", False), ("last", False), ("--1", False), ("", False)],
)
def test_a_token_of_a_subject_has_a_number(key: str, right: bool) -> None:
    """From 1, or from the end."""
    if right:
        assert StreamRead(stream="S", op_id_in=OpIdIn.SUBJECT, key=key).key == key
    else:
        with pytest.raises(ValueError, match="numbers no token"):
            StreamRead(stream="S", op_id_in=OpIdIn.SUBJECT, key=key)
