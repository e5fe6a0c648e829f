"""exactly-once: what each end of an operation owes to the stores, what is wrong, and how it is told."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos.model.effect import Ledger
from chaos.model.op_ids import op_id
from chaos.model.operation import Answer, EffectState
from chaos.model.verdict import Verdict
from chaos.model.workload import OperationKind
from chaos.oracles import judge
from chaos.oracles.owed import End, end_of, find_wrong, owed
from tests.oracles.build import ACCEPTED, NO_ANSWER, OK, cell, driver_error, error
from tests.oracles.effects import (
    ALL,
    INGEST,
    LEDGER,
    NONE,
    REFUSED,
    RIGHT,
    ROWS,
    TASK,
    Found,
    effects_plan,
    judged,
    operation,
    with_good,
)

NO_STATE = None
TABLE = [
    # What a task that was answered ok owes.
    (TASK, OK, NO_STATE, ALL, ""),
    (TASK, OK, NO_STATE, NONE, "lost"),
    (TASK, OK, NO_STATE, ROWS, "torn"),
    (TASK, OK, NO_STATE, {"result": 1}, "torn"),
    (TASK, OK, NO_STATE, {"task": 1, "result": 1}, "torn"),
    (TASK, OK, NO_STATE, {**ALL, "result": 2}, "duplicated"),
    (TASK, OK, NO_STATE, {**ALL, "memory": 3}, "duplicated"),
    (TASK, OK, NO_STATE, {"task": 2}, "duplicated"),
    # One that was completed with an error: its end is published, its work done or not.
    (TASK, error(503), NO_STATE, {"result": 1}, ""),
    (TASK, error(503), NO_STATE, ALL, ""),
    (TASK, error(503), NO_STATE, NONE, "lost"),
    (TASK, error(503), NO_STATE, ROWS, "torn"),
    (TASK, error(503), NO_STATE, {"task": 1, "result": 1}, "torn"),
    (TASK, error(503), NO_STATE, {"result": 2}, "duplicated"),
    (TASK, REFUSED, EffectState.NOT_APPLIED, {"result": 1}, ""),
    (TASK, REFUSED, EffectState.NOT_APPLIED, ALL, "refused-but-applied"),
    (TASK, REFUSED, EffectState.NOT_APPLIED, NONE, "lost"),
    # One that was accepted, and whose completion nobody saw.
    (TASK, ACCEPTED, NO_STATE, {"result": 1}, ""),
    (TASK, ACCEPTED, NO_STATE, ALL, ""),
    (TASK, ACCEPTED, NO_STATE, NONE, "lost"),
    (TASK, ACCEPTED, NO_STATE, ROWS, "torn"),
    (TASK, ACCEPTED, NO_STATE, {**ALL, "task": 2}, "duplicated"),
    # One that nobody knows to be accepted.
    (TASK, NO_ANSWER, NO_STATE, NONE, ""),
    (TASK, NO_ANSWER, NO_STATE, {"result": 1}, ""),
    (TASK, NO_ANSWER, NO_STATE, ALL, ""),
    (TASK, NO_ANSWER, NO_STATE, ROWS, "torn"),
    (TASK, NO_ANSWER, NO_STATE, {"memory": 1, "result": 1}, "torn"),
    (TASK, NO_ANSWER, NO_STATE, {**ALL, "result": 2}, "duplicated"),
    (TASK, driver_error("connect-refused"), EffectState.NOT_APPLIED, NONE, ""),
    (TASK, driver_error("connect-refused"), EffectState.NOT_APPLIED, {"result": 1}, "refused-but-applied"),
    # What is answered at once.
    (INGEST, OK, NO_STATE, RIGHT["ingest"], ""),
    (INGEST, OK, NO_STATE, NONE, "lost"),
    (INGEST, OK, NO_STATE, {"document": 1}, "torn"),
    (INGEST, OK, NO_STATE, {"document": 1, "announcement": 2}, "duplicated"),
    (INGEST, error(503), NO_STATE, NONE, ""),
    (INGEST, error(503), NO_STATE, RIGHT["ingest"], ""),
    (INGEST, error(503), NO_STATE, {"document": 1}, "torn"),
    (INGEST, error(503), NO_STATE, {"announcement": 1}, "torn"),
    (INGEST, error(503), NO_STATE, {"document": 2, "announcement": 2}, "duplicated"),
    (INGEST, NO_ANSWER, NO_STATE, {"document": 2, "announcement": 1}, "duplicated"),
    (INGEST, driver_error(), NO_STATE, RIGHT["ingest"], ""),
    (INGEST, REFUSED, EffectState.NOT_APPLIED, NONE, ""),
    (INGEST, REFUSED, EffectState.NOT_APPLIED, {"document": 1}, "refused-but-applied"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "answer", "state", "found", "wrong"), TABLE)
def test_what_is_owed(kind: OperationKind, answer: Answer, state: EffectState | None, found: Found, wrong: str) -> None:
    """Each row of the table: right, or a finding of that class that names the operation, its trace and what was found."""
    verdict = judged(kind, answer, found, state=state)
    if not wrong:
        assert (verdict.verdict, verdict.findings) == (Verdict.HOLDS, ()), verdict
        assert verdict.decided == 31
        return
    assert verdict.verdict is Verdict.VIOLATED
    (finding,) = verdict.findings
    assert finding.error_class == wrong
    assert (finding.operation, finding.trace_id) == (
        op_id("r1", verdict.cell.workload or "", 1),
        f"trace-{verdict.cell.workload}-1",
    )
    for name, count in found.items():
        kept = LEDGER.effect(name)
        assert any(line.startswith(f"{kept.store} holds {count} {kept.about}") for line in finding.evidence)
        assert f"{count} {kept.about}" in finding.seen
        assert f" in {kept.store}" in finding.seen


@pytest.mark.parametrize(
    ("kind", "answer", "found", "cause"),
    [
        (TASK, OK, {**ALL, "result": 2}, "over nats came ok 200, but agent.task left 2 result messages with no fault near"),
        (TASK, ACCEPTED, NONE, "agent.task was accepted, and left no result message with no fault near"),
        (TASK, error(503), ROWS, "agent.task was completed with 503 dependency_unavailable naming provider, and left 1 task row and 1 memory row but no result message with no fault near"),
        (INGEST, OK, NONE, "api answered ok 200, but rag.ingest left no document row and no announcement message with no fault near"),
        (INGEST, NO_ANSWER, {"document": 1}, "rag.ingest (no answer) left 1 document row but no announcement message with no fault near"),
    ],
)  # fmt: skip
def test_a_finding_reads_as_a_sentence(kind: OperationKind, answer: Answer, found: Found, cause: str) -> None:
    """One line for a person."""
    assert judged(kind, answer, found).findings[0].cause == cause


def test_expected_is_told_in_words() -> None:
    """Of each effect, and what goes together."""
    assert judged(TASK, OK, NONE).findings[0].expected == "one task row, one memory row, one result message"
    assert judged(INGEST, error(503), {"document": 1}).findings[0].expected == (
        "document row and announcement message once each, or none of them"
    )
    assert judged(TASK, OK, {**ALL, "result": 2}).findings[0].seen == (
        "1 task row and 1 memory row in postgres, 2 result messages in nats"
    )
    assert judged(TASK, ACCEPTED, NONE).findings[0].expected == (
        "one result message; task row and memory row once each, or none of them"
    )
    refused = judged(INGEST, REFUSED, {"document": 1}, state=EffectState.NOT_APPLIED)
    assert refused.findings[0].expected == "no document row, no announcement message"


def test_many_with_the_same_cause_are_one_finding() -> None:
    """With a count; another class is another finding."""
    twice = [(operation(TASK, n), {**ALL, "result": 2}) for n in range(3)]
    verdict = cell(judge(with_good(*twice, (operation(TASK, 9), NONE))), "exactly-once/none/agent")
    assert {one.error_class: one.count for one in verdict.findings} == {"duplicated": 3, "lost": 1}
    assert verdict.violated == 4


def test_at_least_once_allows_more() -> None:
    """Declared so, two are right; none is lost all the same."""
    effects = tuple(msgspec.structs.replace(one, at_least_once=one.name == "result") for one in LEDGER.effects)
    what = effects_plan(ledger=Ledger(effects=effects))
    assert judged(TASK, OK, {**ALL, "result": 7}, what=what).verdict is Verdict.HOLDS
    assert judged(TASK, OK, {**ALL, "task": 2}, what=what).verdict is Verdict.VIOLATED
    lost = judged(TASK, OK, NONE, what=what).findings[0]
    assert (lost.error_class, lost.expected) == ("lost", "one task row, one memory row, at least one result message")


COUNTS = st.fixed_dictionaries({"task": st.integers(0, 3), "memory": st.integers(0, 3), "result": st.integers(0, 3)})
ENDS = st.sampled_from([OK, ACCEPTED, NO_ANSWER, error(503), driver_error()])


@given(ENDS, COUNTS, st.sampled_from(["task", "memory", "result"]))
def test_one_more_of_what_is_there_is_never_better(answer: Answer, found: Found, effect: str) -> None:
    """From one on, each further one is a duplicate, whatever else there is."""
    debt = owed(operation(TASK, 1, answer), TASK)
    more = find_wrong(debt, {**found, effect: max(2, found[effect] + 1)})
    assert more is not None
    assert more.error_class == "duplicated"


@given(ENDS, COUNTS, st.sets(st.sampled_from(["task", "memory", "result"])))
def test_what_is_not_known_blames_nobody(answer: Answer, found: Found, unknown: set[str]) -> None:
    """With less known, nothing becomes wrong that was right."""
    debt = owed(operation(TASK, 1, answer), TASK)
    if find_wrong(debt, found) is None:
        assert find_wrong(debt, {one: None if one in unknown else count for one, count in found.items()}) is None


def test_every_end_has_its_row() -> None:
    """The table's five ends, told apart by answer, acceptance and effect."""
    ends = {
        end_of(operation(TASK, 1, answer, state=state))
        for answer, state in (
            (OK, None), (ACCEPTED, None), (error(503), None), (NO_ANSWER, None), (driver_error(), EffectState.NOT_APPLIED),
        )
    }  # fmt: skip
    assert ends == set(End)
