"""A small run by hand: two workloads, three faults on three links, sixteen seconds, told in events, operations and wire records."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from chaos.journal import open_journal
from chaos.model.effect import StoredEffect
from chaos.model.event import (
    JOURNAL_FORMAT,
    BaselineJudged,
    ClockSample,
    EffectsRead,
    Event,
    FaultArmed,
    HealChecked,
    LinkUp,
    LoadCounted,
    Note,
    PhaseName,
    PhaseStarted,
    ProbesFinished,
    Quiet,
    RefusalProbed,
    RunEnded,
    RunStarted,
)
from chaos.model.fault import FaultSpec
from chaos.model.link import Link, Protocol
from chaos.model.operation import Answer, AnswerKind, EffectState, Operation, Unmet
from chaos.model.plan import Plan, WorkloadPlan
from chaos.model.scenario import LinkMap, Scenario, Timeline, WorkloadSpec
from chaos.model.verdict import Cell, NotJudged
from chaos.model.wire_record import WireRecord
from chaos.model.workload import OperationKind

START_NS = 5_000_000_000_000
WALL_NS = 1_790_000_000_000_000_000
ASK_ROUTE = ("driver>api", "api>rag", "rag>postgres", "rag>gateway", "gateway>provider")


def at(seconds: float) -> int:
    """Nanoseconds of the monotonic clock at that many seconds of the run."""
    return START_NS + round(seconds * 1e9)


def sample_plan(name: str = "quickstart") -> Plan:
    """A plan with workloads `rag` and `gateway` and faults on Postgres, the provider and an idle link."""
    links = LinkMap(
        name="reference",
        links=(
            Link(name="driver>api", protocol=Protocol.HTTP, traced=True),
            Link(name="rag>postgres"),
            Link(name="gateway>provider", protocol=Protocol.HTTP, traced=True),
            Link(name="agent>nats"),
        ),
    )
    rag, gateway = (
        WorkloadSpec(name="rag", kind="rag", rate_per_s=6),
        WorkloadSpec(name="gateway", kind="gateway", rate_per_s=4),
    )
    faults = (
        FaultSpec(
            name="slow-postgres",
            kind="latency",
            links=("rag>postgres",),
            at_ms=0,
            for_ms=4000,
            attributes={"latency": 300},
        ),
        FaultSpec(name="provider-gone", kind="refuse", links=("gateway>provider",), at_ms=2000, for_ms=3000),
        FaultSpec(name="nats-reset", kind="reset", links=("agent>nats",), at_ms=3000, for_ms=1000),
    )
    workloads = (
        WorkloadPlan(spec=rag, operations=(OperationKind(name="ask", route=ASK_ROUTE),)),
        WorkloadPlan(
            spec=gateway, operations=(OperationKind(name="chat", route=("driver>gateway", "gateway>provider")),)
        ),
    )
    return Plan(
        scenario=Scenario(
            name=name, links=links, workloads=(rag, gateway), timeline=Timeline(faults=faults), seed=7, sha256="ab" * 32
        ),
        workloads=workloads,
        cells=(Cell(oracle="bounded", fault="slow-postgres", workload="rag"), Cell(oracle="healed")),
        not_judged=(
            NotJudged(
                cell=Cell(oracle="bounded", fault="nats-reset", workload="rag"),
                reason="no route of rag uses agent>nats",
                enable="workloads: [{kind: agent}]",
            ),
        ),
    )


def sample_events() -> Iterator[Event]:
    """Events of a whole run but its end."""
    yield RunStarted(
        t_ns=START_NS, format=JOURNAL_FORMAT, run_id="run-1", wall_ns=WALL_NS, plan=sample_plan(),
        versions={"chaos-drill": "0.1.0", "python": "3.11.9"},
    )  # fmt: skip
    yield PhaseStarted(t_ns=at(0.1), phase=PhaseName.BRING_UP)
    yield LinkUp(t_ns=at(0.5), link="rag>postgres", listen="127.0.0.1:40001", upstream="127.0.0.1:5432")
    yield ClockSample(t_ns=at(1), wall_ns=WALL_NS + 1_000_000_000 + 2_000_000)
    yield PhaseStarted(t_ns=at(2), phase=PhaseName.BASELINE)
    yield BaselineJudged(
        t_ns=at(6), steady=True, reason="", operations=40, medians_ms={"rag": 30.0}, p99s_ms={"rag": 80.0}
    )
    yield PhaseStarted(t_ns=at(6), phase=PhaseName.FAULTS)
    yield FaultArmed(t_ns=at(6.01), fault="slow-postgres", link="rag>postgres", start_ns=at(6.1), end_ns=at(10.1))
    yield FaultArmed(t_ns=at(6.02), fault="provider-gone", link="gateway>provider", start_ns=at(8.1), end_ns=at(11.1))
    yield FaultArmed(t_ns=at(6.03), fault="nats-reset", link="agent>nats", start_ns=at(9.1), end_ns=at(10.1))
    yield RefusalProbed(t_ns=at(9), fault="provider-gone", link="gateway>provider", result="refused")
    yield PhaseStarted(t_ns=at(11.2), phase=PhaseName.HEAL)
    yield HealChecked(t_ns=at(11.3))
    yield PhaseStarted(t_ns=at(11.4), phase=PhaseName.RECOVERY)
    yield ProbesFinished(t_ns=at(14), workload="rag", passed=True, in_a_row=5, sent=7)
    yield LoadCounted(t_ns=at(14), workload="rag", phase=PhaseName.FAULTS, started=10, dropped=0, late=0)
    yield LoadCounted(t_ns=at(15), workload="rag", phase=PhaseName.FAULTS, started=30, dropped=1, late=0)
    yield Note(t_ns=at(15), text="rag answered slowly at first")
    yield PhaseStarted(t_ns=at(15), phase=PhaseName.AUDIT)
    yield Quiet(t_ns=at(15.1), reached=True, waited_ms=100.0)
    yield EffectsRead(t_ns=at(15.2), effect="document", count=30)
    yield EffectsRead(t_ns=at(15.3), effect="announcement", error="nats could not be reached")
    yield PhaseStarted(t_ns=at(15.4), phase=PhaseName.STOP)


def sample_operation(index: int, workload: str, seconds: float) -> Operation:
    """An operation of the sample: those of `gateway` fail while its provider is gone."""
    gone = 8.1 <= seconds < 11.1
    answer = Answer(kind=AnswerKind.OK, status=200)
    if gone and workload == "gateway":
        answer = Answer(kind=AnswerKind.ERROR, status=500, code="internal", detail="internal error")
    elif gone and index % 5 == 0:
        answer = Answer(kind=AnswerKind.NONE)
    name = "ask" if workload == "rag" else "chat"
    return Operation(
        op_id=f"{workload}-{index}", workload=workload, name=name, index=index, intended_ns=at(seconds), start_ns=at(seconds),
        end_ns=0 if answer.kind is AnswerKind.NONE else at(seconds + 0.03), deadline_ms=2000, answer=answer,
        effect=EffectState.READ, trace_id=f"{index:032x}", route=ASK_ROUTE,
        unmet=(Unmet(check="digest", expected="digest-1", seen="none"),) if index == 3 else (),
    )  # fmt: skip


def sample_operations() -> list[Operation]:
    """Ten operations a second from the start of the baseline to the end of recovery."""
    return [sample_operation(index, "rag" if index % 5 < 3 else "gateway", 2.05 + index / 10) for index in range(120)]


def sample_wire() -> list[WireRecord]:
    """The proxy's word on the faults: `nats-reset` began but found no traffic."""
    return [
        WireRecord(at(6.1001), "on", "rag>postgres", faults=("slow-postgres",)),
        WireRecord(at(6.4), "touch", "rag>postgres", 1, 0, "<", faults=("slow-postgres",)),
        WireRecord(at(8.1002), "on", "gateway>provider", faults=("provider-gone",)),
        WireRecord(at(9.1), "on", "agent>nats", faults=("nats-reset",)),
        WireRecord(at(10.1), "off", "agent>nats", faults=("nats-reset",), status="ended"),
        WireRecord(at(10.1003), "off", "rag>postgres", faults=("slow-postgres",), status="ended"),
        WireRecord(at(11.1), "off", "gateway>provider", faults=("provider-gone",), status="ended"),
    ]


def sample_effects() -> list[StoredEffect]:
    """One document for each third operation of `rag`; one of them stands twice."""
    return [
        StoredEffect(effect="document", op_id=f"rag-{index}", count=2 if index == 3 else 1) for index in range(0, 87, 3)
    ]


def record_sample(folder: Path, *, end: bool = True, redact: Callable[[str], str] | None = None) -> Path:
    """Record the sample run in that folder; without `end`, it is left before it ended."""
    with open_journal(folder, redact_text=redact) as journal:
        for event in sample_events():
            journal.write(event)
        operations = sample_operations()
        for first in range(0, len(operations), 20):
            journal.operations(operations[first : first + 20])
        wire = sample_wire()
        for first in range(0, len(wire), 3):
            journal.wire(msgspec.msgpack.encode(wire[first : first + 3]))
        effects = sample_effects()
        for first in range(0, len(effects), 10):
            journal.effects(effects[first : first + 10])
        if end:
            journal.write(RunEnded(t_ns=at(16), how="complete"))
    return folder
