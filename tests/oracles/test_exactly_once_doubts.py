"""exactly-once: what cannot be known, and what is known all the same."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from chaos.model.effect import StoredEffect
from chaos.model.event import EvidenceLost, Quiet
from chaos.model.verdict import Verdict
from chaos.oracles import judge
from tests.oracles.build import OK, SECOND, cell
from tests.oracles.effects import (
    ALL,
    ASK,
    INGEST,
    NONE,
    ROWS,
    TASK,
    Found,
    audited,
    effects_plan,
    judged,
    operation,
    with_good,
)

RESTLESS = {"quiet": Quiet(t_ns=54 * SECOND, reached=False, waited_ms=25_000, left=("2 in agent_outbox",))}
UNREAD = {"reads": {"result": {"error": "NATS did not answer in time", "count": 0}}}
REMOVED = {"reads": {"result": {"removed": 500}}}
UNRECORDED = {"reads": {"result": {"count": 77}}}
DOUBTS = [
    (RESTLESS, "did not come to rest within 25.0 s: 2 in agent_outbox", [ALL, NONE, ROWS]),
    ({"quiet": None}, "were not read back", [ALL, NONE, ROWS]),
    (REMOVED, "nats no longer holds 500 result messages", [ALL, ROWS]),
    (UNRECORDED, "of 77 result messages the record holds", [ALL, ROWS]),
]


@pytest.mark.parametrize(
    ("fields", "why", "found"), [(fields, why, found) for fields, why, many in DOUBTS for found in many]
)
def test_what_is_missing_proves_nothing_then(fields: dict[str, Any], why: str, found: Found) -> None:
    """Neither good nor bad: the reason says what was in the way."""
    verdict = judged(TASK, OK, found, **fields)
    assert (verdict.verdict, verdict.findings) == (Verdict.UNKNOWN, ())
    assert why in verdict.reason


@pytest.mark.parametrize(("fields", "verdict"), [(RESTLESS, Verdict.UNKNOWN), ({}, Verdict.VIOLATED)])
def test_a_count_of_none_is_like_no_count(fields: dict[str, Any], verdict: Verdict) -> None:
    """A query that names an operation and counts 0 knows no more than one that does not name it."""
    task = operation(TASK, 1)
    evidence = with_good((task, {"task": 1, "result": 1}), **fields)
    nothing = StoredEffect(effect="memory", op_id=task.op_id, count=0)
    found = judge(msgspec.structs.replace(evidence, effects=(*evidence.effects, nothing)))
    assert cell(found, "exactly-once/none/agent").verdict is verdict


def test_a_count_of_none_is_no_phantom() -> None:
    """Others that stand in the table and left nothing are nobody's effects."""
    evidence = with_good()
    nothing = StoredEffect(effect="memory", op_id="somebody", count=0)
    found = judge(msgspec.structs.replace(evidence, effects=(*evidence.effects, nothing)))
    assert cell(found, "exactly-once/none/all").verdict is Verdict.HOLDS


@pytest.mark.parametrize("fields", [REMOVED, UNRECORDED])
def test_what_another_store_misses_is_missing(fields: dict[str, Any]) -> None:
    """Messages are not all there any more, but rows were never dropped."""
    finding = judged(TASK, OK, NONE, **fields).findings[0]
    assert (finding.error_class, "left no task row and no memory row" in finding.cause) == ("lost", True)


@pytest.mark.parametrize("fields", [RESTLESS, REMOVED, UNRECORDED])
def test_two_are_two_all_the_same(fields: dict[str, Any]) -> None:
    """However restless the stores, however much was lost: what was found twice is there twice."""
    assert judged(TASK, OK, {**ALL, "task": 2}, **fields).findings[0].error_class == "duplicated"


def test_an_effect_that_could_not_be_read_blames_nobody() -> None:
    """Of the others only what shows by itself is told."""
    evidence = with_good((operation(TASK, 1), {"task": 1, "memory": 1}), **UNREAD)
    evidence = msgspec.structs.replace(
        evidence, effects=tuple(one for one in evidence.effects if one.effect != "result")
    )
    verdict = judge(evidence)
    assert cell(verdict, "exactly-once/none/agent").verdict is Verdict.UNKNOWN
    assert "result messages could not be read back: NATS did" in cell(verdict, "exactly-once/none/agent").reason
    assert cell(verdict, "exactly-once/none/rag").verdict is Verdict.HOLDS
    assert cell(verdict, "exactly-once/none/all").verdict is Verdict.UNKNOWN


def test_effects_lost_from_the_record_touch_no_other_oracle() -> None:
    """Their count tells that they are missing; operations and wire log are whole."""
    evidence = with_good(lost=(EvidenceLost(t_ns=0, what="stored effects", count=5),), **UNRECORDED)
    verdict = judge(evidence)
    assert cell(verdict, "exactly-once/none/agent").verdict is Verdict.UNKNOWN
    assert cell(verdict, "bounded/none/agent").verdict is Verdict.HOLDS


def test_a_run_that_was_never_audited_is_unknown() -> None:
    """It was cut off before."""
    verdict = judge(msgspec.structs.replace(with_good(), quiet=None, effects=(), effect_reads=()))
    assert {one.verdict for one in verdict.cells if one.cell.oracle == "exactly-once"} == {Verdict.UNKNOWN}


def test_nothing_of_anything_is_no_proof() -> None:
    """No operation that writes: the cells have no population, the run-level one nothing to look at."""
    verdict = judge(audited(effects_plan(), (), ()))
    assert {one.verdict for one in verdict.cells if one.cell.oracle == "exactly-once"} == {Verdict.UNKNOWN}


def test_too_few_do_not_hold() -> None:
    """Reads do not count: they owe nothing."""
    what = effects_plan(rag=(INGEST, ASK))
    special = [(operation(ASK, n), NONE) for n in range(50)]
    evidence = with_good(*special, what=what)
    few = msgspec.structs.replace(
        evidence,
        operations=tuple(one for one in evidence.operations if one.name != "ingest" or one.index < 1010),
    )
    verdict = cell(judge(few), "exactly-once/none/rag")
    assert (verdict.verdict, verdict.decided) == (Verdict.UNKNOWN, 10)
