"""Messages that owe trace context and carry none of this run's: found once, and told apart by the operation they belong to.

A trace is of this run when an operation has it, when the driver sent it, or when it was there before the baseline (what set-up began).
Who was sent no context cannot pass any on: only the hop that lost it is told.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from operator import attrgetter, itemgetter

from chaos.model.evidence import Evidence
from chaos.model.operation import Operation
from chaos.oracles.between import DRIVER
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
    owners = _Owners(evidence.operations, hops)
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

    def __init__(self, operations: Sequence[Operation], hops: Hops) -> None:
        self._by_op_id = {one.op_id: one for one in operations}
        self._by_trace = {one.trace_id: one for one in operations if one.trace_id}
        self._received = _received(hop for trace in self._by_trace for hop in hops.of.get(trace, ()))
        self._started = sorted(((one.start_ns, one) for one in operations), key=itemgetter(0))

    def of(self, hop: Hop) -> Operation | None:
        """That of the baggage or of the message's id; else one whose request its sender has open; else the last that came that way."""
        request = hop.request
        named = self._by_op_id.get(request.op_id) or self._by_op_id.get(request.digest)
        if named is not None:
            return named
        last: Operation | None = None
        for one in _latest(self._received.get(hop.sender, ()), hop.t_ns):
            operation = self._by_trace[one.request.trace_id]
            if request.link not in operation.route:
                continue
            if one.end_ns >= hop.t_ns:
                return operation
            last = last or operation
        return last or self._last_started(request.link, hop.t_ns)

    def _last_started(self, link: str, t_ns: int) -> Operation | None:
        end = bisect_right(self._started, t_ns, key=itemgetter(0))
        before = self._started[max(0, end - _LOOKED_BACK) : end]
        return next((one for _, one in reversed(before) if link in one.route), None)
