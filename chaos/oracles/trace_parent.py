"""trace-parent (W3): what a service sends names a parent of its own, not the one that it was sent: a copied header is a missing span.

A publish, its deliveries and its redeliveries are one hop and share their header, so a service's own message that comes back to it may be
published again. Whether something else names that parent because it was copied, or because the span that published goes on, is known once
what the service was sent before is done with. Replies to a message belong to it and are not looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from chaos.model.operation import Operation
from chaos.model.plan import Plan
from chaos.model.verdict import Cell, CellVerdict, NotJudged
from chaos.oracles.algebra import HELD, Decision, Outcome, undecided
from chaos.oracles.case import Case
from chaos.oracles.hops import Hop, same_thing
from chaos.oracles.onwire import cells_on_wire, judge_on_wire, message_text, where_of
from chaos.oracles.oracle import Oracle

__all__ = ["TRACE_PARENT"]

_NAME = "trace-parent"


def _look(_case: Case, _operation: Operation, hops: Sequence[Hop]) -> Decision:
    came: dict[tuple[str, str], Hop] = {}
    sent: dict[tuple[str, str], list[Hop]] = {}
    received: dict[str, list[Hop]] = {}
    doubt: Decision | None = None
    for hop in hops:
        key = hop.sender, hop.request.parent_id
        earlier = sent.setdefault(key, [])
        if key in came and hop.owes_context and not any(same_thing(one, hop) for one in earlier):
            if not _may_go_on(earlier, hop, received.get(hop.sender, ())):
                return _violated(came[key], hop)
            doubt = doubt or undecided(
                f"{message_text(hop)} with the parent of its own message, which had come back to it"
            )
        earlier.append(hop)
        came.setdefault((hop.receiver, hop.request.parent_id), hop)
        received.setdefault(hop.receiver, []).append(hop)
    return doubt or HELD


def _may_go_on(earlier: Sequence[Hop], hop: Hop, received: Sequence[Hop]) -> bool:
    """Whether what a service was sent before it first named that parent itself is still at work."""
    return bool(earlier) and any(one.t_ns <= earlier[0].t_ns and one.end_ns >= hop.t_ns for one in received)


def _violated(came: Hop, sent: Hop) -> Decision:
    parent = sent.request.parent_id
    return Decision(
        outcome=Outcome.VIOLATED,
        error_class="header-copied",
        cause=f"{message_text(sent)} with the parent id that it received: its own span is missing",
        expected=f"a parent id of {sent.sender}'s own in what it sends",
        seen=f"parent {parent} on {came.request.link} and on {sent.request.link}",
        link=sent.request.link,
        where=where_of(sent),
        moments=tuple(
            (one.t_ns, f"{one.request.link} {one.request.signature} parent {parent}") for one in (came, sent)
        ),
    )


def _judge(case: Case, cell: Cell) -> CellVerdict:
    return judge_on_wire(case, cell, _look)


def _cells(plan: Plan) -> Iterable[Cell | NotJudged]:
    return cells_on_wire(_NAME, plan)


TRACE_PARENT = Oracle(
    name=_NAME,
    summary="services send parent ids of their own",
    timing=False,
    needs="W3C trace context on links marked traced",
    cells=_cells,
    judge=_judge,
)
