"""trace-context (W1, W2): what services send carries a trace context that the driver issued, still sampled, with the op id in its baggage.

Judged are requests and published messages on links marked `traced`, but for signatures that the link lists as `untraced`. A message
without the context of any operation belongs to the one its sender most likely worked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from chaos.model.operation import Operation
from chaos.model.plan import Plan
from chaos.model.scenario import DERIVED
from chaos.model.verdict import Cell, CellVerdict, NotJudged
from chaos.oracles.algebra import HELD, Decision, Outcome
from chaos.oracles.case import Case
from chaos.oracles.hops import Hop
from chaos.oracles.onwire import cells_on_wire, judge_on_wire, message_text, where_of
from chaos.oracles.oracle import Oracle
from chaos.oracles.text import clip

__all__ = ["TRACE_CONTEXT"]

_NAME = "trace-context"


def _look(case: Case, operation: Operation, hops: Sequence[Hop]) -> Decision:
    for hop in case.strays.get(operation.op_id, ()):
        return _lost(case, hop)
    for hop in hops:
        if not hop.owes_context:
            continue
        if not hop.request.sampled:
            return _violated(
                hop,
                error_class="sampling-lost",
                what="with the sampled flag cleared",
                expected="a traceparent that is still sampled, as the driver sent it",
                seen="its flag says not sampled",
            )
        if hop.request.op_id != operation.op_id:
            return _violated(
                hop,
                error_class="baggage-changed" if hop.request.op_id else "baggage-lost",
                what="with another op.id in its baggage" if hop.request.op_id else "without the op.id of the baggage",
                expected=f"baggage with op.id={operation.op_id}",
                seen=f"op.id={clip(hop.request.op_id)}" if hop.request.op_id else "no op.id in the baggage",
            )
    return HELD


def _lost(case: Case, hop: Hop) -> Decision:
    trace_id = hop.request.trace_id
    return _violated(
        hop,
        error_class="new-trace" if trace_id else "no-traceparent",
        what="in a trace of its own" if trace_id else "without a traceparent",
        expected=f"a traceparent with the trace id that came in; if no operation causes it: {_line_to_except(case, hop)}",
        seen=f"trace {trace_id}, which nobody issued" if trace_id else "no valid traceparent",
    )


def _line_to_except(case: Case, hop: Hop) -> str:
    """The line that says that such messages need no context."""
    listed = f'untraced: ["{hop.request.signature}"]'
    if case.plan.scenario.links.name == DERIVED:
        return f"system.services: {hop.sender}: {listed}"
    return f"link map: {hop.request.link}: {listed}"


def _violated(hop: Hop, *, error_class: str, what: str, expected: str, seen: str) -> Decision:
    text = message_text(hop)
    return Decision(
        outcome=Outcome.VIOLATED,
        error_class=error_class,
        cause=f"{text} {what}",
        expected=expected,
        seen=seen,
        link=hop.request.link,
        where=where_of(hop),
        moments=((hop.t_ns, f"{hop.request.link} {hop.request.signature}: {seen}"),),
    )


def _judge(case: Case, cell: Cell) -> CellVerdict:
    return judge_on_wire(case, cell, _look)


def _cells(plan: Plan) -> Iterable[Cell | NotJudged]:
    return cells_on_wire(_NAME, plan)


TRACE_CONTEXT = Oracle(
    name=_NAME,
    summary="messages carry the trace and baggage of their operation",
    timing=False,
    needs="W3C trace context and baggage on links marked traced",
    cells=_cells,
    judge=_judge,
)
