"""exactly-once: what each end of an operation owes to the stores, what is wrong, and what cannot be known."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos.model.effect import EffectKind, Ledger, SqlRead, StoredEffect, StreamRead
from chaos.model.event import EffectsRead, EvidenceLost, Quiet
from chaos.model.evidence import Evidence
from chaos.model.fault import FaultSpec
from chaos.model.op_ids import PROBE_INDEX, op_id
from chaos.model.operation import Answer, EffectState, Operation
from chaos.model.plan import Plan
from chaos.model.verdict import CellVerdict, Verdict
from chaos.model.workload import OperationKind
from chaos.oracles import derive, judge
from chaos.oracles.owed import End, end_of, find_wrong, owed
from tests.oracles import build
from tests.oracles.build import ACCEPTED, ASK_ROUTE, MS, NO_ANSWER, OK, SECOND, TASK_ROUTE, cell, driver_error, error

TASK = OperationKind(
    name="task", route=TASK_ROUTE, asynchronous=True, writes=True, deadline_ms=10_000.0,
    effects=("task", "memory", "result"), completion="result",
)  # fmt: skip
INGEST = OperationKind(name="ingest", route=ASK_ROUTE, writes=True, effects=("document", "announcement"))
ASK = OperationKind(name="ask", route=ASK_ROUTE)
LEDGER = Ledger(
    effects=(
        *(
            EffectKind(name=name, about=f"{name} row", store="postgres", read=SqlRead(sql=f"SELECT op_id FROM {name}s"))
            for name in ("task", "memory", "document")
        ),
        *(
            EffectKind(name=name, about=f"{name} message", store="nats", read=StreamRead(stream=name.upper()))
            for name in ("result", "announcement")
        ),
    )
)
RIGHT = {"task": {"task": 1, "memory": 1, "result": 1}, "ingest": {"document": 1, "announcement": 1}, "ask": {}}
Found = dict[str, int]


def effects_plan(*faults: FaultSpec, rag: tuple[OperationKind, ...] = (INGEST,), ledger: Ledger = LEDGER) -> Plan:
    """Workloads `agent` (tasks) and `rag`, whose operations leave effects."""
    base = build.plan(*faults, workloads=("agent", "rag"))
    agent, documents = base.workloads
    workloads = (
        msgspec.structs.replace(agent, operations=(TASK,)), msgspec.structs.replace(documents, operations=rag),
    )  # fmt: skip
    return derive(msgspec.structs.replace(base, workloads=workloads, ledger=ledger, cells=(), not_judged=()))


def operation(
    kind: OperationKind, index: int, answer: Answer = OK, *, at_s: float = 12.0, state: EffectState | None = None
) -> Operation:
    """An operation of that kind; a task's answer came as its completion unless it failed at the driver."""
    workload = "agent" if kind is TASK else "rag"
    start_ns = int((at_s + index % 100 / 100) * SECOND)
    answered = answer.kind in {"ok", "error"}
    end_ns = start_ns + 50 * MS if answered else 0
    applied = EffectState.APPLIED if answer.kind == "ok" else EffectState.UNKNOWN
    published = kind.asynchronous and answer.layer == "system"
    return Operation(
        op_id=op_id("r1", workload, index), workload=workload, name=kind.name, index=index, intended_ns=start_ns,
        start_ns=start_ns, end_ns=end_ns, deadline_ms=kind.deadline_ms, answer=answer,
        effect=(state or applied) if kind.writes else EffectState.READ, trace_id=f"trace-{workload}-{index}",
        route=kind.route, accepted_ns=start_ns + MS if published and answer is not NO_ANSWER else 0,
        first_byte_ns=end_ns if published else 0, asynchronous=kind.asynchronous,
    )  # fmt: skip


def stored(of: str, found: Found) -> tuple[StoredEffect, ...]:
    """What the stores hold of one op id."""
    return tuple(StoredEffect(effect=name, op_id=of, count=count) for name, count in found.items() if count)


def audited(
    what: Plan, operations: tuple[Operation, ...], effects: tuple[StoredEffect, ...], **fields: Any
) -> Evidence:
    """Evidence of a run whose stores were at rest and read whole; `reads` replaces how reading single effects went."""
    told = fields.pop("reads", {})
    reads = tuple(
        EffectsRead(
            t_ns=55 * SECOND, effect=one.name,
            **{"count": sum(each.count for each in effects if each.effect == one.name), **told.get(one.name, {})},
        )
        for one in what.ledger.effects
    )  # fmt: skip
    usual = {"effects": effects, "effect_reads": reads, "quiet": Quiet(t_ns=54 * SECOND, reached=True, waited_ms=200)}
    return build.run(what, *operations, **{**usual, **fields})


def with_good(*special: tuple[Operation, Found], what: Plan | None = None, **fields: Any) -> Evidence:
    """Thirty good tasks and ingests each, and the operations under test with what is stored of them."""
    kinds = [(kind, 1000 + n) for kind in (TASK, INGEST) for n in range(30)]
    good = [(operation(kind, index), RIGHT[kind.name]) for kind, index in kinds]
    every = [*good, *special]
    effects = tuple(one for each, found in every for one in stored(each.op_id, found))
    return audited(what or effects_plan(), tuple(each for each, _ in every), effects, **fields)


def judged(kind: OperationKind, answer: Answer, found: Found, **fields: Any) -> CellVerdict:
    """The quiet cell of a run with one such operation among good ones."""
    state = fields.pop("state", None)
    evidence = with_good((operation(kind, 1, answer, state=state), found), **fields)
    return cell(judge(evidence), f"exactly-once/none/{'agent' if kind is TASK else 'rag'}")


REFUSED = error(422, "invalid_request", dependency=None)
NONE, ROWS, ALL = {}, {"task": 1, "memory": 1}, RIGHT["task"]
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


# --- Under a fault.


def under_fault(kind: str, link: str, found: Found, *, hit: bool = True) -> CellVerdict:
    """Thirty tasks and ingests while that fault is on, one of them with what was found."""
    what = effects_plan(build.fault(kind, link))
    tasks = [(operation(TASK, n, at_s=21), found if n == 1 else ALL) for n in range(30)]
    ingests = [(operation(INGEST, n, at_s=21), RIGHT["ingest"]) for n in range(30)]
    fields = {} if hit else {"wire": ()}
    return cell(judge(with_good(*tasks, *ingests, what=what, **fields)), "exactly-once/broken/agent")


def test_a_fault_that_made_it_happen_is_named() -> None:
    """The cell of the fault has the finding, with the link."""
    verdict = under_fault("latency", "agent>nats", {**ALL, "result": 2})
    assert (verdict.verdict, verdict.findings[0].fault, verdict.findings[0].link) == (
        Verdict.VIOLATED, "broken", "agent>nats",
    )  # fmt: skip
    assert "while nats was slow" in verdict.findings[0].cause


@pytest.mark.parametrize("link", ["driver>nats", "agent>nats"])
def test_faults_between_driver_and_system_concern_effects_too(link: str) -> None:
    """Nobody could answer for them, but what was acknowledged is owed all the same."""
    assert under_fault("latency", link, ALL).verdict is Verdict.HOLDS
    assert under_fault("latency", link, NONE).findings[0].error_class == "lost"


def test_without_proof_of_the_fault_nothing_holds() -> None:
    """It may have met nothing. A violation stands."""
    assert under_fault("latency", "agent>nats", ALL, hit=False).verdict is Verdict.UNKNOWN
    assert under_fault("latency", "agent>nats", {"result": 2}, hit=False).verdict is Verdict.VIOLATED


# --- What cannot be known.


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


# --- Effects of nobody.


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


# --- Cells.


def ids(what: Plan) -> set[str]:
    """Ids of the oracle's cells, without its name."""
    return {one.id.removeprefix("exactly-once/") for one in what.cells if one.oracle == "exactly-once"}


def test_cells_are_derived_for_what_writes() -> None:
    """Per fault on a link of an operation that writes, quiet time, and the run."""
    what = effects_plan(build.fault("latency", "rag>postgres"), build.fault("hang", "driver>nats", name="mute"))
    assert ids(what) == {"none/agent", "none/rag", "broken/rag", "mute/agent", "none/all"}


def test_a_fault_on_the_way_of_reads_only_has_no_cell() -> None:
    """There is no population for it."""
    short = msgspec.structs.replace(INGEST, route=ASK_ROUTE[:2])
    what = effects_plan(build.fault("latency", "rag>postgres"), rag=(short, ASK))
    assert "broken/rag" not in ids(what)
    assert "broken/rag" in {one.cell.id.removeprefix("exactly-once/") for one in what.not_judged}


def test_workloads_without_declared_effects_are_not_judged() -> None:
    """The line says what would enable it."""
    what = effects_plan(rag=(ASK,))
    assert ids(what) == {"none/agent", "none/all"}
    (one,) = (one for one in what.not_judged if one.cell.oracle == "exactly-once")
    assert (one.cell.workload, "leaves effects" in one.enable) == ("rag", True)
    assert ids(build.plan(workloads=("rag", "gateway"))) == set()


# --- Laws.


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
