"""Effects of the real backend, read back from its real stores and judged from a record: right as they are, and tampered with."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import asyncpg
import msgspec
import nats
import pytest

from chaos.journal import open_journal, read_evidence
from chaos.ledger import Access, Limits, audit
from chaos.model.event import JOURNAL_FORMAT, PhaseName, PhaseStarted, RunEnded, RunStarted
from chaos.model.link import Link, Protocol
from chaos.model.operation import Answer, AnswerKind, EffectState, Operation
from chaos.model.plan import Plan, WorkloadPlan
from chaos.model.scenario import LinkMap, Scenario, Timeline, WorkloadSpec
from chaos.model.verdict import RunVerdict, Verdict
from chaos.oracles import derive, judge
from chaos.workloads.kinds import REFERENCE_WORKLOADS
from chaos.workloads.reference_effects import reference_ledger
from tests.reference.rig import Backend, Op, Post, envelope

KINDS = {one.name: one for kind in REFERENCE_WORKLOADS for one in kind.operations}
EACH = 20
LIMITS = Limits(quiet_s=60.0, read_s=60.0, call_s=20.0)


async def ingest(backend: Backend, post: Post, op: Op) -> Answer:
    """Store a document."""
    body = envelope("document.ingest", tenant="effects", doc_id=op.id, title="One", text=f"about {op.nonce}")
    reply = await post(backend, "api", "/v1/documents", body, op)
    return Answer(kind=AnswerKind.OK if reply.status_code == 201 else AnswerKind.ERROR, status=reply.status_code)


async def task(backend: Backend, op: Op, **changes: object) -> Answer:
    """Queue a task and wait for its end."""
    client = await nats.connect(backend.nats_server.url.reveal())
    try:
        results = await client.subscribe(f"{backend.namespace}.results.{op.id}")
        await client.flush()
        data = {"tenant": "effects", "task": f"tell me {op.nonce}", "query": "anything", "op_id": op.id} | changes
        subject = f"{backend.namespace}.tasks.effects"
        await client.jetstream(timeout=20).publish(subject, envelope("task", **data), headers=op.queue_headers())
        message = await results.next_msg(timeout=60)
    finally:
        await client.close()
    if msgspec.json.decode(message.data)["message_type"] == "problem":
        return Answer(kind=AnswerKind.ERROR, status=504, code="deadline_exceeded")
    return Answer(kind=AnswerKind.OK)


def operation(name: str, op: Op, answer: Answer) -> Operation:
    """The driver's record of it."""
    kind, applied = KINDS[name], answer.kind is AnswerKind.OK
    return Operation(
        op_id=op.id, workload=name, name=name, index=0, intended_ns=10, start_ns=10, end_ns=20, answer=answer,
        deadline_ms=kind.deadline_ms, effect=EffectState.APPLIED if applied else EffectState.UNKNOWN, trace_id=op.trace_id,
        route=kind.route, asynchronous=kind.asynchronous, accepted_ns=12, first_byte_ns=20 if kind.asynchronous else 0,
    )  # fmt: skip


def plan(backend: Backend) -> Plan:
    """Tasks and documents on this backend, without faults."""
    ledger = msgspec.structs.replace(
        reference_ledger(backend.namespace), streams=(f"{backend.namespace.upper()}_TASKS",)
    )
    specs = tuple(WorkloadSpec(name=name, kind=name, rate_per_s=1) for name in ("task", "ingest"))
    links = LinkMap(name="map", links=(Link(name="driver>nats", protocol=Protocol.NATS), Link(name="driver>api")))
    workloads = tuple(WorkloadPlan(spec=spec, operations=(KINDS[spec.name],)) for spec in specs)
    scenario = Scenario(name="effects", links=links, workloads=specs, timeline=Timeline(faults=()))
    return derive(Plan(scenario=scenario, workloads=workloads, ledger=ledger))


async def audited(backend: Backend, operations: Sequence[Operation], folder: Path) -> RunVerdict:
    """Audit the stores, record it all, and judge the record."""
    access = Access(
        postgres_dsn=f"{backend.postgres.admin_dsn.reveal()}?sslmode=disable",
        postgres_role="chaos",
        nats_url=backend.nats_server.url.reveal(),
    )
    what = plan(backend)
    done = await audit(what.ledger, access, LIMITS)
    with open_journal(folder) as journal:
        journal.write(
            RunStarted(
                t_ns=1, format=JOURNAL_FORMAT, run_id="run-1", wall_ns=1, plan=what, versions={"chaos-drill": "0"}
            )
        )
        journal.write(PhaseStarted(t_ns=5, phase=PhaseName.BASELINE))
        journal.operations(operations)
        journal.effects(done.effects)
        for event in (done.quiet, *done.reads):
            journal.write(event)
        journal.write(RunEnded(t_ns=done.quiet.t_ns + 1, how="complete"))
    return judge(read_evidence(folder))


def found(verdict: RunVerdict) -> dict[str, set[str]]:
    """Classes of findings, by cell."""
    return {
        one.cell.id.removeprefix("exactly-once/"): {each.error_class for each in one.findings}
        for one in verdict.cells
        if one.cell.oracle == "exactly-once"
    }


def holds(verdict: RunVerdict) -> bool:
    """Whether every cell of the oracle does."""
    return {one.verdict for one in verdict.cells if one.cell.oracle == "exactly-once"} == {Verdict.HOLDS}


@pytest.fixture
def own_backend(own: Backend) -> Backend:
    """A backend whose stores hold nothing of other tests."""
    own.start()
    return own


async def test_effects_are_found_as_they_are(own_backend: Backend, post: Post, tmp_path: Path) -> None:
    """Twenty tasks and documents are there once; what is done to single ones in the stores is found, and named."""
    backend = own_backend
    ops = {name: [Op(budget_ms=60_000) for _ in range(EACH)] for name in ("task", "ingest")}
    expired = Op(budget_ms=0)
    answers = await asyncio.gather(
        *(task(backend, one) for one in ops["task"]), *(ingest(backend, post, one) for one in ops["ingest"])
    )
    names = ["task"] * EACH + ["ingest"] * EACH
    operations = [operation(*each) for each in zip(names, ops["task"] + ops["ingest"], answers, strict=True)]
    assert all(one.ok for one in operations)
    # A task that was too late ends with a problem: stored, published, and no effect of it.
    operations.append(operation("task", expired, await task(backend, expired)))
    verdict = await audited(backend, operations, tmp_path / "right")
    assert holds(verdict), verdict.cells

    await tamper(backend, ops["task"], ops["ingest"])
    verdict = await audited(backend, operations, tmp_path / "wrong")
    assert found(verdict) == {
        "none/task": {"torn", "duplicated"}, "none/ingest": {"torn", "lost", "duplicated"}, "none/all": {"phantom"},
    }  # fmt: skip
    blamed = {one.error_class: one.operation for one in verdict.findings if one.workload == "task"}
    assert blamed == {"torn": ops["task"][0].id, "duplicated": ops["task"][1].id}


async def tamper(backend: Backend, tasks: Sequence[Op], documents: Sequence[Op]) -> None:
    """What a wrong backend would have left."""
    database = await asyncpg.connect(backend.postgres.dsn.reveal(), timeout=20)
    client = await nats.connect(backend.nats_server.url.reveal())
    schema, upper = backend.namespace, backend.namespace.upper()
    try:
        again = f"INSERT INTO {schema}.memory (op_id, tenant, task_id, text) SELECT op_id, tenant, task_id, text"
        await database.execute(f"DELETE FROM {schema}.memory WHERE op_id = $1", tasks[0].id)
        await database.execute(f"{again} FROM {schema}.memory WHERE op_id = $1", tasks[1].id)
        for one in documents[:2]:
            await database.execute(f"DELETE FROM {schema}.documents WHERE op_id = $1", one.id)
        jetstream = client.jetstream(timeout=20)
        for op_id in (documents[2].id, "somebody-else"):
            await jetstream.publish(f"{schema}.documents.ingested", b"{}", headers={"baggage": f"op.id={op_id}"})
        for seq in range(1, EACH + 1):
            message = await jetstream.get_msg(f"{upper}_DOCUMENTS", seq)
            if (message.headers or {}).get("baggage") == f"op.id={documents[1].id}":
                await jetstream.delete_msg(f"{upper}_DOCUMENTS", seq)
    finally:
        await client.close()
        await database.close()
