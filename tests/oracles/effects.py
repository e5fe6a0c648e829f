"""Operations that leave effects, and evidence by hand of what the stores hold of them."""

from __future__ import annotations

from typing import Any

import msgspec

from chaos.model.effect import EffectKind, Ledger, SqlRead, StoredEffect, StreamRead
from chaos.model.event import EffectsRead, Quiet
from chaos.model.evidence import Evidence
from chaos.model.fault import FaultSpec
from chaos.model.op_ids import op_id
from chaos.model.operation import Answer, EffectState, Operation
from chaos.model.plan import Plan
from chaos.model.verdict import CellVerdict
from chaos.model.workload import OperationKind
from chaos.oracles import derive, judge
from tests.oracles import build
from tests.oracles.build import ASK_ROUTE, MS, NO_ANSWER, OK, SECOND, TASK_ROUTE, cell, error

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
