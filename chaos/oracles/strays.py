"""Messages that owe trace context and carry none of this run's: found once, and told apart by the operation they belong to.

A trace is of this run when an operation has it, when the driver sent it, or when it was there before the baseline (what set-up began).
Who was sent no context cannot pass any on: only the hop that lost it is told, and nobody where the driver could hand over none.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from operator import attrgetter, itemgetter

from chaos.model.evidence import Evidence
from chaos.model.operation import Operation
from chaos.oracles.between import DRIVER
from chaos.oracles.concern import until_ns
from chaos.oracles.hops import Hop, Hops

__all__ = ["find_strays"]

_LOOKED_BACK = 64
"""So many messages that a service was sent before are looked at for the one that a stray belongs to."""
_AT_WORK_NS = 10_000_000_000


def find_strays(evidence: Evidence, hops: Hops, first_ns: int, last_ns: int) -> dict[str, list[Hop]]:
    """Strays sent in [first_ns, last_ns) by op id, each that of the operation which its sender most likely worked for."""
    strays = [
        hop for hop in _candidates(evidence, hops, first_ns) if hop.owes_context and first_ns <= hop.t_ns < last_ns
    ]
    if not strays:
        return {}
    deprived = _received(hop for hop in hops.untraced if hop.receiver != DRIVER)
    owners = _Owners(evidence, hops)
    found: dict[str, list[Hop]] = {}
    for hop in sorted(strays, key=attrgetter("t_ns")):
        if any(_still_at(one, hop.t_ns) for one in _latest(deprived.get(hop.sender, ()), hop.t_ns)):
            continue
        owner = owners.of(hop)
        if owner is not None:
            found.setdefault(owner.op_id, []).append(hop)
    return found


def _candidates(evidence: Evidence, hops: Hops, first_ns: int) -> Iterator[Hop]:
    yield from hops.untraced
    known = {one.trace_id for one in evidence.operations}
    for trace_id, messages in hops.of.items():
        if trace_id in known or any(one.sender == DRIVER or one.t_ns < first_ns for one in messages):
            continue
        received: set[str] = set()
        for one in sorted(messages, key=attrgetter("t_ns")):
            if one.sender not in received:
                yield one
            received.add(one.receiver)


def _still_at(message: Hop, t_ns: int) -> bool:
    """Whether its receiver may still be at work on it; of one that asks for no answer that is a guess."""
    return t_ns <= (message.end_ns if message.reply else message.t_ns + _AT_WORK_NS)


_Timed = tuple[list[int], list[Hop]]


def _received(messages: Iterator[Hop]) -> dict[str, _Timed]:
    """Messages by receiver, in time, with their times for searching."""
    by_receiver: dict[str, list[Hop]] = {}
    for one in messages:
        by_receiver.setdefault(one.receiver, []).append(one)
    found: dict[str, _Timed] = {}
    for receiver, many in by_receiver.items():
        many.sort(key=attrgetter("t_ns"))
        found[receiver] = [one.t_ns for one in many], many
    return found


def _latest(timed: _Timed | tuple[()], t_ns: int) -> Sequence[Hop]:
    """The last of them before that moment, the latest first."""
    if not timed:
        return ()
    times, messages = timed
    end = bisect_right(times, t_ns)
    return messages[max(0, end - _LOOKED_BACK) : end][::-1]


class _Owners:
    """Which operation a message without its trace belongs to."""

    def __init__(self, evidence: Evidence, hops: Hops) -> None:
        operations = evidence.operations
        self._by_op_id = {one.op_id: one for one in operations}
        self._by_trace = {one.trace_id: one for one in operations if one.trace_id}
        self._received = _received(hop for trace in self._by_trace for hop in hops.of.get(trace, ()))
        self._started = sorted(((one.start_ns, one) for one in operations), key=itemgetter(0))
        self._without = {one.name for one in evidence.plan.workloads if not one.spec.carries_context}

    def of(self, hop: Hop) -> Operation | None:
        """That of the baggage or of the message's id, else the likeliest; None if it was given no context, or may be of one that was not."""
        request = hop.request
        named = self._by_op_id.get(request.op_id) or self._by_op_id.get(request.digest)
        if named is None and not self._innocent(request.link, hop.t_ns):
            named = self._likeliest(hop)
        return None if named is None or named.workload in self._without else named

    def _likeliest(self, hop: Hop) -> Operation | None:
        """One whose request its sender has open; else the last that came that way."""
        last: Operation | None = None
        for one in _latest(self._received.get(hop.sender, ()), hop.t_ns):
            operation = self._by_trace[one.request.trace_id]
            if hop.request.link not in operation.route:
                continue
            if one.end_ns >= hop.t_ns:
                return operation
            last = last or operation
        return last or next(self._started_before(hop.request.link, hop.t_ns), None)

    def _innocent(self, link: str, t_ns: int) -> bool:
        """Whether an operation without context is under way that may use the link, or was the last to begin."""
        for place, one in enumerate(self._started_before(link, t_ns) if self._without else ()):
            if one.workload in self._without and (place == 0 or until_ns(one) >= t_ns):
                return True
        return False

    def _started_before(self, link: str, t_ns: int) -> Iterator[Operation]:
        """The last operations to begin before that moment that may use the link, the latest first."""
        end = bisect_right(self._started, t_ns, key=itemgetter(0))
        before = self._started[max(0, end - _LOOKED_BACK) : end]
        return (one for _, one in reversed(before) if link in one.route)
