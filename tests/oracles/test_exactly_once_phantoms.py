"""exactly-once: effects of nobody."""

from __future__ import annotations

from typing import Any

import pytest

from chaos.model.effect import StoredEffect
from chaos.model.op_ids import PROBE_INDEX, op_id
from chaos.model.plan import Plan
from chaos.model.verdict import CellVerdict, Verdict
from chaos.oracles import judge
from tests.oracles.build import cell
from tests.oracles.effects import ASK, INGEST, audited, effects_plan, operation, with_good


def strangers(*effects: StoredEffect, what: Plan | None = None, special: tuple[Any, ...] = ()) -> CellVerdict:
    """The run-level cell, with these effects beside those of good operations."""
    good = with_good(*special, what=what)
    every = (*good.effects, *effects)
    return cell(judge(audited(good.plan, good.operations, every)), "exactly-once/none/all")


def test_every_effect_of_an_operation_holds() -> None:
    """Counted by operations."""
    verdict = strangers()
    assert (verdict.verdict, verdict.reason) == (Verdict.HOLDS, "every effect is of 60 operations of this run")


@pytest.mark.parametrize("named", ["somebody-else", "agent-1-0123456789", ""])
def test_an_effect_of_nobody_is_a_phantom(named: str) -> None:
    """Another run's, a forged op id, or none at all."""
    verdict = strangers(StoredEffect(effect="result", op_id=named, places=("seq 9",)))
    (finding,) = verdict.findings
    assert (verdict.verdict, finding.error_class, finding.signature) == (Verdict.VIOLATED, "phantom", "result")
    assert ("names no operation" in finding.cause) == (not named)
    assert "seq 9" in finding.evidence[0]


@pytest.mark.parametrize(("workload", "index"), [("agent", 4321), ("rag", 0), ("agent", PROBE_INDEX + 3), ("seed", 11)])
def test_an_operation_that_was_never_recorded_is_no_phantom(workload: str, index: int) -> None:
    """A driver that crashed, a probe, what was stored before the load: once is fine, twice is not."""
    ours = op_id("r1", workload, index)
    assert strangers(StoredEffect(effect="document", op_id=ours)).verdict is Verdict.HOLDS
    twice = strangers(StoredEffect(effect="document", op_id=ours, count=2))
    assert (twice.verdict, twice.findings[0].error_class) == (Verdict.VIOLATED, "duplicated")


def test_an_effect_that_the_operation_does_not_leave_is_a_phantom() -> None:
    """A question that stores a document; it is named, with its trace."""
    what = effects_plan(rag=(INGEST, ASK))
    verdict = strangers(what=what, special=((operation(ASK, 1), {"document": 1}),))
    (finding,) = verdict.findings
    assert finding.cause == "rag.ask left a document row, which it should not"
    assert (finding.trace_id, finding.signature, finding.error_class) == ("trace-rag-1", "ask", "phantom")
