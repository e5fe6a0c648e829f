"""retry-bound: few attempts, not all at once, none where another cannot help, and together no storm.

An attempt is a message of the same trace, link, signature and body (or idempotency key) that a service sends for the same request or
delivery, after one that failed, was cut or stayed unanswered: what is asked again after a good answer is no retry, and work that comes
again from above may be tried again below. Requests without a body cannot be told apart, so only their total
is judged. All rests on counts and on the proxy's clock: what came too early, a slow machine does not excuse.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from itertools import pairwise
from math import floor
from operator import attrgetter

from chaos.model.duration import format_ms
from chaos.model.fault import FAULT_KINDS, Effect
from chaos.model.operation import Operation
from chaos.model.plan import Plan
from chaos.model.scenario import RetryCaps
from chaos.model.verdict import Cell, CellVerdict, NotJudged
from chaos.oracles.algebra import HELD, Decision, Outcome, undecided
from chaos.oracles.attempts import after_failures, find_attempts
from chaos.oracles.case import Case
from chaos.oracles.concern import NS_PER_MS
from chaos.oracles.hops import Hop
from chaos.oracles.onwire import at_ms, cells_on_wire, judge_on_wire, message_text, where_of
from chaos.oracles.oracle import Oracle
from chaos.oracles.text import counted

__all__ = ["RETRY_BOUND"]

_NAME = "retry-bound"
# Time-outs and pauses asked for, and what a caller can mend before the next attempt: a token renewed, a conflict or lock gone.
_WORTH_ANOTHER = frozenset({"401", "408", "409", "423", "425", "429"})
_FEWEST = 2
_PAUSED_FROM = 3
_NO_PAUSE_MS = 10.0  # what a program needs between an answer and its next attempt when it does not wait
_EARLY_MS = 5.0  # clocks that count whole milliseconds
_SHOWN = 6


def _look(case: Case, operation: Operation, hops: Sequence[Hop]) -> Decision:
    most, factor = _caps(case, operation.name)
    doubt: Decision | None = None
    spoiling = _spoiling(case)
    for one in find_attempts(hops):
        made, unseen = _in_time(operation, one.made), _in_time(operation, one.unseen)
        decision = _judge_rows(operation, made, most, one.at_once, spoiling)
        if decision is not None:
            return decision
        every = sorted([*made, *unseen], key=attrgetter("t_ns")) if unseen else []
        if _judge_rows(operation, every, most, one.at_once, spoiling):
            doubt = undecided(
                f"attempts on {every[0].request.link} were cut off before their bodies could be told apart"
            )
    return _judge_total(case, operation, hops, most, factor) or doubt or HELD


def _caps(case: Case, operation: str) -> tuple[int, float]:
    """Attempts at one thing, and messages as a multiple of the baseline's."""
    declared = case.plan.scenario.expect.retries.get(operation, RetryCaps())
    attempts = case.settings.retry_attempts if declared.attempts is None else declared.attempts
    return attempts, case.settings.retry_factor if declared.factor is None else declared.factor


def _spoiling(case: Case) -> frozenset[str]:
    """Faults that may leave an answer cut or unreadable though its status was good."""
    return frozenset(name for name, one in case.faults.items() if Effect.CUT in FAULT_KINDS[one.kind].effects)


def _in_time(operation: Operation, attempts: Sequence[Hop]) -> Sequence[Hop]:
    """Without what was published again once the operation was answered: an outbox goes on until it succeeds."""
    if not operation.end_ns:
        return attempts
    return [one for one in attempts if one.t_ns <= operation.end_ns or not one.request.signature.startswith("PUB ")]


def _judge_rows(
    operation: Operation, attempts: Sequence[Hop], most: int, at_once: int, spoiling: Collection[str]
) -> Decision | None:
    """What is wrong first with any row of attempts, each of which follows a failure; None if nothing is."""
    decisions = (_judge_attempts(operation, row, most, at_once) for row in after_failures(attempts, spoiling))
    return next((one for one in decisions if one is not None), None)


def _judge_attempts(operation: Operation, attempts: Sequence[Hop], most: int, at_once: int) -> Decision | None:
    """What is wrong with attempts at one thing, in time; None if nothing is."""
    if len(attempts) < _FEWEST:
        return None
    if at_once == 1:  # else nobody can tell whose attempt follows whose
        for before, after in pairwise(attempts):
            decision = _judge_next(operation, before, after)
            if decision is not None:
                return decision
    most *= at_once
    if len(attempts) > most:
        took_ms = (attempts[-1].t_ns - attempts[0].t_ns) / NS_PER_MS
        return _violated(
            operation,
            attempts,
            error_class="too-many-attempts",
            what="more often than a retry may",
            expected=f"at most {counted(most, 'attempt')}",
            seen=f"{len(attempts)} attempts in {format_ms(took_ms)}",
        )
    gaps_ms = [(after.t_ns - before.end_ns) / NS_PER_MS for before, after in pairwise(attempts)]
    if at_once == 1 and len(attempts) >= _PAUSED_FROM and all(0 <= one < _NO_PAUSE_MS for one in gaps_ms):
        return _violated(
            operation,
            attempts,
            error_class="no-pause",
            what="again and again without a pause",
            expected=f"a pause somewhere in {_PAUSED_FROM} or more attempts",
            seen=f"{len(attempts)} attempts, each within {format_ms(max(gaps_ms))} of the last answer",
        )
    return None


def _judge_next(operation: Operation, before: Hop, after: Hop) -> Decision | None:
    """What is wrong with an attempt after the one before it was answered; None if nothing is, or it did not wait for that answer."""
    reply = before.reply
    if reply is None or after.t_ns < reply.t_ns or not _refused(reply.status):
        return None
    if reply.status.startswith("4") and reply.status not in _WORTH_ANOTHER:
        return _violated(
            operation,
            (before, after),
            error_class="retried-for-nothing",
            what=f"again after a {reply.status}, which another attempt does not mend",
            expected=f"no other attempt after a {reply.status}",
            seen=f"another one {format_ms((after.t_ns - reply.t_ns) / NS_PER_MS)} after it",
        )
    waited_ms = (after.t_ns - reply.t_ns) / NS_PER_MS
    if reply.retry_after_s is not None and waited_ms < reply.retry_after_s * 1000 - _EARLY_MS:
        return _violated(
            operation,
            (before, after),
            error_class="retry-after-ignored",
            what=f"again before the Retry-After of a {reply.status} was over",
            expected=f"no attempt before {format_ms(reply.retry_after_s * 1000)} are over",
            seen=f"another one after {format_ms(waited_ms)}",
        )
    return None


def _refused(status: str) -> bool:
    return status.isdigit() and status[:1] in {"4", "5"}


def _judge_total(
    case: Case, operation: Operation, hops: Sequence[Hop], attempts: int, factor: float
) -> Decision | None:
    """A storm: more messages of services than so many times those of the baseline. Not judged if the baseline had no such operation.

    One thing attempted as often as it may be is no storm, however few messages the operation needs.
    """
    usual = case.usual_messages.get((operation.workload, operation.name))
    sent = [hop for hop in hops if hop.of_a_service]
    most = max(floor(factor * usual), usual + attempts - 1) if usual is not None else len(sent)
    if len(sent) <= most:
        return None
    by_link = Counter(hop.request.link for hop in sent)
    link, _ = by_link.most_common(1)[0]
    return Decision(
        outcome=Outcome.VIOLATED,
        error_class="retry-storm",
        cause=f"{operation.workload}.{operation.name} caused many times the messages it usually needs, most of them on {link}",
        expected=f"at most {most} messages: the baseline needs {usual}",
        seen=f"{len(sent)} messages: {', '.join(f'{count} on {name}' for name, count in by_link.most_common(_SHOWN))}",
        link=link,
        where=f"logs of {case.links[link].caller}; link {link}",
    )


def _violated(
    operation: Operation, attempts: Sequence[Hop], *, error_class: str, what: str, expected: str, seen: str
) -> Decision:
    first = attempts[0]
    return Decision(
        outcome=Outcome.VIOLATED,
        error_class=error_class,
        cause=f"{message_text(first)} {what}",
        expected=expected,
        seen=seen,
        link=first.request.link,
        where=where_of(first),
        moments=tuple((one.t_ns, _fact(operation, one)) for one in attempts[:_SHOWN]),
    )


def _fact(operation: Operation, hop: Hop) -> str:
    text = f"{hop.request.link} {hop.request.signature}"
    if hop.reply is None:
        return f"{text}: no end seen"
    asked = "" if hop.reply.retry_after_s is None else f", Retry-After {hop.reply.retry_after_s:g}s"
    return f"{text}: {hop.status or 'no status'} at {at_ms(operation, hop.reply.t_ns)}{asked}"


def _judge(case: Case, cell: Cell) -> CellVerdict:
    return judge_on_wire(case, cell, _look)


def _cells(plan: Plan) -> Iterable[Cell | NotJudged]:
    return cells_on_wire(_NAME, plan)


RETRY_BOUND = Oracle(
    name=_NAME,
    summary="few attempts, with pauses, where another one can help",
    timing=False,
    needs="trace context on links marked traced; own caps in expect.retries",
    cells=_cells,
    judge=_judge,
)
