"""Evidence by hand: a run of 60 s with a baseline, one fault from 20 s to 24 s, and recovery, on a small map of links."""

from __future__ import annotations

from typing import Any

import msgspec

from chaos.model.event import (
    BaselineJudged,
    HealChecked,
    LoadCounted,
    LoopLagged,
    PhaseName,
    ProbesFinished,
    RefusalProbed,
)
from chaos.model.evidence import Evidence, FaultInterval, PhaseSpan
from chaos.model.fault import FaultSpec
from chaos.model.link import Link, Protocol
from chaos.model.operation import Answer, AnswerKind, EffectState, Operation, Unmet
from chaos.model.plan import Plan, WorkloadPlan
from chaos.model.scenario import Expectations, LinkMap, Recovery, Scenario, Timeline, WorkloadSpec
from chaos.model.settings import Settings
from chaos.model.verdict import CellVerdict, RunVerdict
from chaos.model.wire_record import WireRecord
from chaos.model.workload import OperationKind
from chaos.oracles import derive, judge
from tests.oracles.wire import trails

SECOND = 1_000_000_000
MS = 1_000_000
ASK_ROUTE = ("driver>api", "api>rag", "rag>gateway", "gateway>provider", "rag>postgres")
TASK_ROUTE = ("driver>nats", "agent>nats", "agent>gateway", "gateway>provider")
QUEUED_ROUTE = ("driver>nats", "gateway>nats", "gateway>provider")
CHAT_ROUTE = ("driver>gateway", "gateway>provider")

_PROTOCOLS = {"postgres": Protocol.POSTGRES, "nats": Protocol.NATS}
LINKS = tuple(
    Link(
        name=name,
        protocol=_PROTOCOLS.get(name.split(">")[1], Protocol.HTTP),
        traced=not name.endswith(">postgres"),
    )
    for name in dict.fromkeys(ASK_ROUTE + TASK_ROUTE + QUEUED_ROUTE + CHAT_ROUTE)
)
KINDS = {
    "rag": (OperationKind(name="ask", route=ASK_ROUTE),),
    "agent": (OperationKind(name="task", route=TASK_ROUTE, asynchronous=True, deadline_ms=10_000.0, writes=True),),
    "gateway": (OperationKind(name="chat", route=CHAT_ROUTE), OperationKind(name="queued", route=QUEUED_ROUTE)),
}
PHASES = tuple(
    PhaseSpan(phase=name, start_ns=start * SECOND, end_ns=end * SECOND)
    for name, start, end in (
        (PhaseName.BASELINE, 10, 20),
        (PhaseName.FAULTS, 20, 24),
        (PhaseName.HEAL, 24, 25),
        (PhaseName.RECOVERY, 25, 36),
        (PhaseName.QUIESCENCE, 36, 50),
        (PhaseName.STOP, 50, 60),
    )
)


def fault(kind: str = "refuse", *links: str, name: str = "broken", **attributes: int) -> FaultSpec:
    """A fault from 0 s to 4 s of the timeline, on gateway>provider unless told otherwise."""
    return FaultSpec(
        name=name, kind=kind, links=links or ("gateway>provider",), at_ms=0, for_ms=4000, attributes=attributes
    )


def plan(*faults: FaultSpec, workloads: tuple[str, ...] = ("rag",), **expect: Any) -> Plan:
    """A plan with its cells derived; `expect` are fields of Expectations."""
    specs = tuple(WorkloadSpec(name=name, kind=name, rate_per_s=5) for name in workloads)
    scenario = Scenario(
        name="drill",
        links=LinkMap(name="map", links=LINKS),
        workloads=specs,
        timeline=Timeline(faults=faults, recovery=Recovery(within_ms=10_000, probes=3)),
        expect=Expectations(**expect),
    )
    return derive(
        Plan(
            scenario=scenario,
            workloads=tuple(WorkloadPlan(spec=one, operations=KINDS[one.name]) for one in specs),
        )
    )


OK = Answer(kind=AnswerKind.OK, status=200)
NO_ANSWER = Answer(kind=AnswerKind.NONE)
ACCEPTED = Answer(kind=AnswerKind.ACCEPTED)


def error(status: int | None = 503, code: str | None = None, dependency: str | None = "provider") -> Answer:
    """A problem of the system; the code defaults to the status's."""
    codes = {502: "dependency_error", 503: "dependency_unavailable", 504: "dependency_timeout", 500: "internal"}
    named = code if code is not None else codes.get(status or 0)
    return Answer(kind=AnswerKind.ERROR, status=status, code=named, dependency=dependency)


def driver_error(code: str = "connection-reset") -> Answer:
    """A failure at the driver."""
    return Answer(kind=AnswerKind.ERROR, code=code, layer="driver")


def operation(
    at_s: float,
    answer: Answer = OK,
    *,
    took_ms: float = 50,
    late_ms: float = 0,
    workload: str = "rag",
    name: str | None = None,
    probe: bool = False,
    unmet: tuple[Unmet, ...] = (),
) -> Operation:
    """An operation intended at that second; unanswered ones have no end."""
    kind = next(one for one in KINDS[workload] if name in (None, one.name))
    intended_ns = int(at_s * SECOND)
    start_ns = intended_ns + int(late_ms * MS)
    answered = answer.kind in (AnswerKind.OK, AnswerKind.ERROR)
    op_id = f"{workload}-{kind.name}-{intended_ns}-{probe}"
    return Operation(
        op_id=op_id,
        workload=workload,
        name=kind.name,
        index=intended_ns // MS,
        intended_ns=intended_ns,
        start_ns=start_ns,
        end_ns=start_ns + int(took_ms * MS) if answered else 0,
        deadline_ms=kind.deadline_ms,
        answer=answer,
        effect=EffectState.READ,
        trace_id=f"trace-{op_id}",
        route=kind.route,
        asynchronous=kind.asynchronous,
        probe=probe,
        unmet=unmet,
    )


def steady_load(
    start_s: float, end_s: float, answer: Answer = OK, *, per_s: int = 10, **fields: Any
) -> tuple[Operation, ...]:
    """Operations with equal gaps over [start, end)."""
    count = round((end_s - start_s) * per_s)
    return tuple(operation(start_s + index / per_s, answer, **fields) for index in range(count))


def exchange(
    one: Operation, link: str, *faults: str, status: str = "aborted", connection: int = 1
) -> tuple[WireRecord, ...]:
    """A request of the operation on a link, and its end under these faults; the reply carries no trace of its own."""
    context = (one.trace_id, f"{77:016x}", True, one.op_id, 1.0)
    return (
        WireRecord(one.start_ns + MS, "request", link, connection, one.index, ">", "POST /x", 9, (), "", *context),
        WireRecord(one.start_ns + 2 * MS, "reply", link, connection, one.index, "<", "", 9, faults, status),
    )


def closed(link: str, *faults: str, at_s: float = 20.0, connection: int = 99) -> WireRecord:
    """A connection cut by faults."""
    return WireRecord(int(at_s * SECOND), "close", link, connection, faults=faults, status="rst")


def probes(
    passed: bool = True, workload: str = "rag", *, at_s: float = 25.5, answer: Answer = OK
) -> tuple[Operation, ...]:
    """Four probes after healing: right, or with that answer."""
    given = OK if passed else answer
    return tuple(operation(at_s + 0.2 * i, given, workload=workload, probe=True) for i in range(4))


def run(what: Plan, *operations: Operation, **fields: Any) -> Evidence:
    """Evidence of a complete run in which every fault began, ended, and acted on its links; fields replace what is usual."""
    workloads = [one.name for one in what.workloads]
    usual: dict[str, Any] = {
        "phases": PHASES,
        "faults": tuple(_interval(one.name, link) for one in what.faults for link in one.links),
        "wire": _usual_wire(what, operations),
        "refusals": tuple(
            RefusalProbed(t_ns=21 * SECOND, fault=one.name, link=link, result="refused")
            for one in what.faults
            if one.kind == "refuse"
            for link in one.links
        ),
        "heals": (HealChecked(t_ns=24 * SECOND),),
        "baseline": BaselineJudged(t_ns=20 * SECOND, steady=True, reason="", operations=100),
        "loads": tuple(
            LoadCounted(t_ns=20 * SECOND, workload=name, phase=phase, started=100, dropped=0, late=0)
            for name in workloads
            for phase in (PhaseName.BASELINE, PhaseName.FAULTS, PhaseName.RECOVERY)
        ),
        "probes": tuple(
            ProbesFinished(t_ns=27 * SECOND, workload=name, passed=True, in_a_row=3, sent=4) for name in workloads
        ),
    }
    return Evidence(run_id="r1", plan=what, operations=operations, **{**usual, **fields})


def _usual_wire(what: Plan, operations: tuple[Operation, ...]) -> tuple[WireRecord, ...]:
    """What a correct system shows of every operation; each fault cuts a connection at its onset, and acts on a message of one exposed
    operation for each of its links.
    """
    rows: list[WireRecord] = list(trails(operations))
    for one in what.faults:
        for link in one.links:
            rows.append(closed(link, one.name))
            exposed = (each for each in operations if link in each.route and 21 <= each.start_ns / SECOND < 24)
            rows += [
                row for each in (next(exposed, None),) if each for row in exchange(each, link, one.name, connection=98)
            ]
    return tuple(rows)


def _interval(name: str, link: str) -> FaultInterval:
    return FaultInterval(
        fault=name,
        link=link,
        onset_ns=20 * SECOND,
        heal_ns=24 * SECOND,
        planned_start_ns=20 * SECOND,
        planned_end_ns=24 * SECOND,
        how="ended",
    )


def lag(start_s: float, ms: float) -> LoopLagged:
    """A stop of the driver's loop."""
    return LoopLagged(t_ns=0, start_ns=int(start_s * SECOND), end_ns=int(start_s * SECOND + ms * MS))


def cell(verdict: RunVerdict, cell_id: str) -> CellVerdict:
    """The judged cell of that id."""
    return next(one for one in verdict.cells if one.cell.id == cell_id)


def judged(evidence: Evidence, cell_id: str) -> CellVerdict:
    """Judge the evidence and pick a cell."""
    return cell(judge(evidence), cell_id)


def with_fault(evidence: Evidence, **fields: Any) -> Evidence:
    """The evidence with fields of its first fault interval replaced."""
    first, *rest = evidence.faults
    return msgspec.structs.replace(evidence, faults=(msgspec.structs.replace(first, **fields), *rest))


SETTINGS = Settings()
