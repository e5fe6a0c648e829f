"""exactly-once: effects that may come although the stores are at rest."""

from __future__ import annotations

import msgspec
import pytest

from chaos.model.effect import Unfinished
from chaos.model.event import Quiet
from chaos.model.evidence import Evidence
from chaos.model.operation import Answer, AnswerKind, EffectState, Operation
from chaos.model.verdict import CellVerdict, Verdict
from chaos.oracles import judge
from tests.oracles.build import SECOND, cell
from tests.oracles.effects import INGEST, LEDGER, RIGHT, Found, effects_plan, operation, with_good

TOLD = msgspec.structs.replace(LEDGER, unfinished=(Unfinished(name="jobs", sql="SELECT count(*) FROM jobs"),))


def accepted(index: int) -> Operation:
    """One that was answered 202 at once."""
    answered = operation(INGEST, index, Answer(kind=AnswerKind.OK, status=202), state=EffectState.UNKNOWN)
    return msgspec.structs.replace(answered, accepted_ns=answered.end_ns)


def verdict_on(evidence: Evidence) -> CellVerdict:
    """That of the workload which ingests, in time without a fault."""
    return cell(judge(evidence), "exactly-once/none/rag")


@pytest.mark.parametrize("found", [{}, {"document": 1}])
def test_accepted_work_may_come_later(found: Found) -> None:
    """Nobody says when a job behind a 202 is over: what is missing is undecided, and the reason says what would tell."""
    verdict = verdict_on(with_good((accepted(1), found), (accepted(2), found)))
    assert (verdict.verdict, verdict.findings) == (Verdict.UNKNOWN, ())
    assert "accepted (202), and nothing tells when such work is done" in verdict.reason


@pytest.mark.parametrize(("found", "wrong"), [({}, "lost"), ({"document": 1}, "torn")])
def test_accepted_work_that_is_told_to_be_over_is_owed(found: Found, wrong: str) -> None:
    """A query for what is left says when it is done: what is missing then is missing."""
    verdict = verdict_on(with_good((accepted(1), found), what=effects_plan(ledger=TOLD)))
    (finding,) = verdict.findings
    assert finding.error_class == wrong
    assert finding.cause.startswith("rag.ingest was accepted, and left ")


def test_accepted_work_that_is_done_holds() -> None:
    """It is there once."""
    verdict = verdict_on(with_good(*((accepted(n), RIGHT["ingest"]) for n in range(5))))
    assert (verdict.verdict, verdict.decided) == (Verdict.HOLDS, 35)


def test_accepted_work_that_was_done_twice_is_found() -> None:
    """Whatever may come: two are two."""
    (finding,) = verdict_on(with_good((accepted(1), {"document": 2}))).findings
    assert finding.error_class == "duplicated"


READ_AT_ONCE = Quiet(t_ns=11 * SECOND, reached=True, waited_ms=200)
"""All operations here start at 12 s."""


@pytest.mark.parametrize("found", [{}, {"document": 1}])
def test_what_ended_after_the_stores_were_read_may_have_come_later(found: Found) -> None:
    """A driver that went on loading is not the system's fault."""
    some = ((operation(INGEST, n), found) for n in range(2))
    verdict = verdict_on(with_good(*some, quiet=READ_AT_ONCE))
    assert (verdict.verdict, verdict.findings) == (Verdict.UNKNOWN, ())
    assert "ended after the stores were read back" in verdict.reason


def test_what_was_there_when_the_stores_were_read_is_known() -> None:
    """All of it is right, and twice is twice."""
    assert verdict_on(with_good(quiet=READ_AT_ONCE)).verdict is Verdict.HOLDS
    (finding,) = verdict_on(with_good((operation(INGEST, 1), {"document": 2}), quiet=READ_AT_ONCE)).findings
    assert finding.error_class == "duplicated"
