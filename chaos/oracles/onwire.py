"""Judging operations by what the wire shows of them: who asks, in which cells, and when too little was seen to say that all is well."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from operator import attrgetter

from chaos.model.fault import Stream
from chaos.model.link import Protocol
from chaos.model.operation import Operation
from chaos.model.plan import Plan, WorkloadPlan
from chaos.model.scenario import DERIVED
from chaos.model.verdict import Cell, CellVerdict, NotJudged, Verdict
from chaos.oracles.algebra import HELD, Decision, Outcome, undecided, unknown
from chaos.oracles.between import DRIVER
from chaos.oracles.case import Case
from chaos.oracles.concern import NS_PER_MS, Concern, until_ns
from chaos.oracles.hops import Hop, carries_context, could_carry_context
from chaos.oracles.population import judge_operations
from chaos.oracles.scope import per_fault_and_workload

__all__ = ["Look", "at_ms", "cells_on_wire", "judge_on_wire", "message_text", "where_of"]

_DAMAGING = "corrupt"
_NOT_REACHED = Decision(outcome=HELD.outcome, remark="never reached the system")

Look = Callable[[Case, Operation, Sequence[Hop]], Decision]
"""Decides on an operation from its messages in time, whatever the cell."""


def judge_on_wire(case: Case, cell: Cell, look: Look) -> CellVerdict:
    """The cell's verdict; each operation is looked at once, though several faults may concern it."""

    def decide(case: Case, cell: Cell, operation: Operation, _concerns: tuple[Concern, ...]) -> Decision:
        key = cell.oracle, operation.op_id
        if key not in case.decided:
            case.decided[key] = _decide(case, operation, look)
        return case.decided[key]

    verdict = judge_operations(case, cell, decide, answers_for_faults=False)
    if verdict.verdict is Verdict.HOLDS and cell.fault is None and not _services_spoke(case, cell):
        return unknown(cell, "no message of a service was seen on a traced link: is it told to call through its links?")
    return verdict


def _services_spoke(case: Case, cell: Cell) -> bool:
    """Whether any operation of the cell shows a message that a service sent; the driver's own prove nothing of the system."""
    members = case.members(cell.fault, cell.workload or "")
    return any(hop.owes_context for _, one, _ in members for hop in case.hops.of.get(one.trace_id, ()))


def _decide(case: Case, operation: Operation, look: Look) -> Decision:
    hops = sorted(case.hops.of.get(operation.trace_id, ()), key=attrgetter("t_ns")) if operation.trace_id else []
    decision = look(case, operation, hops)
    if decision.outcome is Outcome.HELD:
        return _unseen(case, operation, hops) or decision
    if any(_damaged(case, hop) for hop in hops):
        return undecided("a fault may have damaged the headers of a message to a service")
    return decision


def _damaged(case: Case, hop: Hop) -> bool:
    """A fault changed bytes on their way to the receiver: the headers that it read may be others than the wire log shows."""
    direction = Stream.UPSTREAM if hop.request.direction == ">" else Stream.DOWNSTREAM
    faults = [case.faults[name] for name in hop.reply.faults if name in case.faults] if hop.reply else []
    return any(one.kind == _DAMAGING and one.stream is direction for one in faults)


def _unseen(case: Case, operation: Operation, hops: Sequence[Hop]) -> Decision | None:
    """Why a message that was not as it should be may have been missed; None if the record is whole."""
    if case.wire_lost:
        return undecided("records of the wire log were lost")
    for link in operation.route:
        for start_ns, end_ns in case.hops.unframed.get(link, ()):
            if start_ns <= until_ns(operation) and operation.start_ns <= end_ns:
                return undecided(f"messages on {link} could not be told apart")
    if not any(hop.sender == DRIVER for hop in hops) and not any(hop.of_a_service for hop in hops):
        return _NOT_REACHED if operation.answer.layer == "driver" else undecided("the wire shows no message of it")
    return None


def cells_on_wire(oracle: str, plan: Plan) -> Iterator[Cell | NotJudged]:
    """Those of every workload that hands over trace context and on whose way a service sends over a link that is marked traced."""
    links = {link.name: link for link in plan.links}
    enable = {one.name: _line_to_trace(one, plan) for one in plan.workloads}
    for one in per_fault_and_workload(oracle, plan, answers_for_faults=False):
        cell = one if isinstance(one, Cell) else one.cell
        workload = plan.workload(cell.workload or "")
        if not workload.spec.carries_context:
            yield _no_way_in(cell, workload)
        elif any(carries_context(links[name]) for name in workload.route if name in links):
            yield one
        else:
            yield NotJudged(
                cell=cell,
                reason=f"no service that {cell.workload} goes through sends over a link that is marked traced",
                enable=enable[cell.workload or ""],
            )


def _no_way_in(cell: Cell, workload: WorkloadPlan) -> NotJudged:
    return NotJudged(
        cell=cell,
        reason=f"the driver cannot hand trace context to what {workload.name} talks to: {workload.spec.kind} has no headers",
        enable=f"workloads: {workload.name}: kind: http or nats, by a way in that speaks it",
    )


def _line_to_trace(workload: WorkloadPlan, plan: Plan) -> str:
    """The line that marks a link on the way, where there is one on which messages can carry trace context."""
    found = [link for link in plan.links if link.name in workload.route and could_carry_context(link)]
    if not found:
        return "calls of a service to another, over HTTP or NATS, on a link marked traced"
    link = min(found, key=lambda one: one.protocol is not Protocol.HTTP)
    if plan.scenario.links.name != DERIVED:
        return f"link map: {link.name}: {{traced: true}}"
    if link.protocol is Protocol.HTTP:
        return f"system.services: {link.caller}: traced: true"
    return f"links: a link map with {link.name}: {{protocol: {link.protocol.value}, traced: true}}"


# --- Words.


def message_text(hop: Hop) -> str:
    """`rag sent POST /v1/embeddings to gateway`."""
    verb, _, subject = hop.request.signature.partition(" ")
    if verb == "PUB":
        return f"{hop.sender} published {subject}"
    if verb == "MSG":
        return f"{hop.receiver} was delivered {subject}"
    return f"{hop.sender} sent {hop.request.signature} to {hop.receiver}"


def at_ms(operation: Operation, t_ns: int) -> str:
    """`+12ms`, from the operation's start."""
    return f"{(t_ns - operation.start_ns) / NS_PER_MS:+.0f}ms"


def where_of(hop: Hop) -> str:
    """The log of who sent it, and the link."""
    return f"logs of {hop.sender}; link {hop.request.link}"
