"""budget (W4): the budget that a service sends on is at most the one it received, less the time it held it.

What it received is the most that any request or delivery of the operation allowed it that was open then, or had been. Time counts from
when the proxy had a message: what passes until the service has read it is not the service's, nor is a delay by a fault.
Waiting in a queue is nobody's time: a delivery allows what it says, from when it was delivered.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from chaos.model.link import Protocol
from chaos.model.operation import Operation
from chaos.model.plain import BUDGET_HEADER
from chaos.model.plan import Plan
from chaos.model.verdict import Cell, CellVerdict, NotJudged
from chaos.oracles.algebra import HELD, Decision, Outcome, unknown
from chaos.oracles.case import Case
from chaos.oracles.concern import NS_PER_MS
from chaos.oracles.hops import Hop
from chaos.oracles.onwire import cells_on_wire, judge_on_wire, message_text, where_of
from chaos.oracles.oracle import Oracle

__all__ = ["BUDGET"]

_NAME = "budget"
_SLACK_MS = 2.0  # whole milliseconds on both sides
_HANDOVER_MS = 250.0  # from the proxy's socket into a service and out of it: two turns of the loops of a busy machine
_LOOKED_BACK = 64


def _look(case: Case, _operation: Operation, hops: Sequence[Hop]) -> Decision:
    received: dict[str, list[Hop]] = {}
    late: Decision | None = None
    for hop in hops:
        causes = _causes(received.get(hop.sender, ()), hop) if hop.of_a_service else ()
        if causes and all(one.request.budget_ms is not None for one in causes):
            decision = _compare(case, hop, causes)
            if decision is not None and not decision.rests_on_time:
                return decision
            late = late or decision
        received.setdefault(hop.receiver, []).append(hop)
    return late or HELD


def _causes(received: Sequence[Hop], hop: Hop) -> Sequence[Hop]:
    """What its sender may have been working on: what was open then, else all it had been sent."""
    near = received[-_LOOKED_BACK:]
    return [one for one in near if one.end_ns >= hop.t_ns] or near


def _compare(case: Case, hop: Hop, causes: Sequence[Hop]) -> Decision | None:
    sent_ms = hop.request.budget_ms
    if sent_ms is None:
        if case.links[hop.request.link].protocol is not Protocol.HTTP:
            return None
        return _violated(hop, max(causes, key=_allowed_ms), "budget-dropped", 0.0)
    widest = max(causes, key=_allowed_ms)
    if sent_ms > _allowed_ms(widest) + _SLACK_MS:
        return _violated(hop, widest, "budget-grown", _allowed_ms(widest))
    longest = max(causes, key=lambda one: _left_ms(one, hop))
    if sent_ms > max(0.0, _left_ms(longest, hop)) + _HANDOVER_MS:
        return _violated(hop, longest, "budget-not-reduced", max(0.0, _left_ms(longest, hop)))
    return None


def _allowed_ms(came: Hop) -> float:
    return came.request.budget_ms or 0.0


def _left_ms(came: Hop, sent: Hop) -> float:
    """What was left when the proxy had what was sent; all of it where a fault may have held one of the two back."""
    if any(one.reply is None or one.reply.faults for one in (came, sent)):
        return _allowed_ms(came)
    return _allowed_ms(came) - (sent.t_ns - came.t_ns) / NS_PER_MS


_WHAT = {
    "budget-dropped": "without a budget, though it had been given one",
    "budget-grown": "with more budget than it had been given",
    "budget-not-reduced": "with a budget that leaves out the time it had taken itself",
}


def _violated(sent: Hop, came: Hop, error_class: str, left_ms: float) -> Decision:
    dropped, on_time = error_class == "budget-dropped", error_class == "budget-not-reduced"
    return Decision(
        outcome=Outcome.SUSPECTED if on_time else Outcome.VIOLATED,
        error_class=error_class,
        cause=f"{message_text(sent)} {_WHAT[error_class]}",
        expected="X-Budget-Ms with what is left" if dropped else f"at most {left_ms:.0f}ms",
        seen="no X-Budget-Ms" if dropped else f"{sent.request.budget_ms:.0f}ms",
        link=sent.request.link,
        where=where_of(sent),
        rests_on_time=on_time,
        moments=tuple((one.t_ns, _fact(one)) for one in (came, sent)),
    )


def _fact(hop: Hop) -> str:
    budget_ms = hop.request.budget_ms
    text = "no budget" if budget_ms is None else f"budget {budget_ms:.0f}ms"
    return f"{hop.request.link} {hop.request.signature} {text}"


def _judge(case: Case, cell: Cell) -> CellVerdict:
    if not case.hops.budgeted:
        return unknown(
            cell,
            "no service sends a budget (X-Budget-Ms) with any message: pass it on, or name the other oracles in expect.oracles",
        )
    return judge_on_wire(case, cell, _look)


def _cells(plan: Plan) -> Iterable[Cell | NotJudged]:
    header = plan.scenario.budget_header
    if header is not None and header.casefold() == BUDGET_HEADER.casefold():
        return cells_on_wire(_NAME, plan)
    what = "the scenario says that no budget is sent" if header is None else f"the wire log does not read {header}"
    return (NotJudged(cell=Cell(oracle=_NAME), reason=what, enable=f"budget_header: {BUDGET_HEADER}"),)


BUDGET = Oracle(
    name=_NAME,
    summary="budgets shrink on their way by the time they are held",
    timing=False,
    needs="the header X-Budget-Ms on what services send",
    cells=_cells,
    judge=_judge,
)
