"""Which faults concern which operations: hit, exposed, or clear, from one pass over the evidence.

hit: the fault acted on a message of the operation, known by trace id on a traced link or by a connection that served only it.
exposed: the operation overlaps [onset, heal + settle] and its declared route contains the faulted link.
clear: neither.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from chaos.model.evidence import Evidence, FaultInterval
from chaos.model.operation import Operation
from chaos.model.wire_record import WireRecord

__all__ = ["Concern", "Concerns", "Window", "find_concerns", "until_ns", "wait_ms"]

NS_PER_MS = 1_000_000
FOR_EVER_NS = sys.maxsize
_FAULT_EVENTS = frozenset({"on", "off", "lost"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Concern:
    """A fault on a link that concerns an operation; `hit` when it acted on a message of it, else the operation is exposed."""

    fault: str
    link: str
    hit: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Time in which a fault on a link exposes operations: until it healed at `heal_ns`, and settled. Not `certain`: it was armed, but never seen to begin."""

    fault: str
    link: str
    start_ns: int
    end_ns: int
    heal_ns: int
    certain: bool

    def overlaps(self, start_ns: int, end_ns: int) -> bool:
        """True if the two closed intervals share a moment."""
        return self.start_ns <= end_ns and start_ns <= self.end_ns

    def lasts(self, start_ns: int, end_ns: int) -> bool:
        """True if the fault itself, without the time to settle after it, shares a moment with the closed interval."""
        return self.start_ns <= end_ns and start_ns <= self.heal_ns


@dataclass(frozen=True, slots=True, kw_only=True)
class Concerns:
    """What concerns each operation, in the order of the evidence's operations.

    `of[i]` are the concerns of operation i (empty: clear). `doubtful` are clear operations that overlap a fault of their route which
    was armed but not seen to begin. `hits` and `acted` count operations hit and wire records acted on, per (fault, link).
    """

    of: tuple[tuple[Concern, ...], ...]
    doubtful: frozenset[int]
    windows: tuple[Window, ...]
    hits: dict[tuple[str, str], int]
    acted: dict[tuple[str, str], int]
    closed: dict[tuple[str, str], int]


def wait_ms(operation: Operation) -> float:
    """How long the driver waits for an answer, from the start: D + max(2 s, D)."""
    return operation.deadline_ms + max(2000.0, operation.deadline_ms)


def until_ns(operation: Operation) -> int:
    """When the operation's answer came, or its wait was over."""
    return operation.end_ns or operation.start_ns + int(wait_ms(operation) * NS_PER_MS)


def find_concerns(evidence: Evidence) -> Concerns:
    """One pass over operations and two over the wire log; linear in both."""
    windows = tuple(_windows(evidence))
    exposed, doubtful = _exposure(evidence.operations, windows)
    hits, acted, closed = _hits(evidence)
    counted: dict[tuple[str, str], int] = {}
    for index, pairs in hits.items():
        rest = tuple(one for one in exposed[index] if (one.fault, one.link) not in pairs)
        exposed[index] = tuple(Concern(fault=fault, link=link, hit=True) for fault, link in sorted(pairs)) + rest
        for pair in pairs:
            counted[pair] = counted.get(pair, 0) + 1
    return Concerns(
        of=tuple(exposed),
        doubtful=frozenset(doubtful - hits.keys()),
        windows=windows,
        hits=counted,
        acted=acted,
        closed=closed,
    )


def _windows(evidence: Evidence) -> Iterable[Window]:
    settle_ns = int(evidence.plan.scenario.expect.settings.settle_ms * NS_PER_MS)
    clean_ns = min((one.t_ns for one in evidence.heals if not one.remaining and one.error is None), default=FOR_EVER_NS)
    for one in evidence.faults:
        start_ns, end_ns = _bounds(one, clean_ns)
        yield Window(
            fault=one.fault,
            link=one.link,
            start_ns=start_ns,
            end_ns=min(end_ns + settle_ns, FOR_EVER_NS),
            heal_ns=end_ns,
            certain=one.onset_ns is not None,
        )


def _bounds(interval: FaultInterval, clean_ns: int) -> tuple[int, int]:
    if interval.onset_ns is None:
        return interval.planned_start_ns, interval.heal_ns or interval.planned_end_ns
    # Never seen to end: it exposes until a read-back showed that it was gone, or to the end of the run.
    return interval.onset_ns, interval.heal_ns if interval.heal_ns is not None else max(clean_ns, interval.onset_ns)


def _exposure(operations: Sequence[Operation], windows: Sequence[Window]) -> tuple[list[tuple[Concern, ...]], set[int]]:
    concerns = [Concern(fault=one.fault, link=one.link, hit=False) for one in windows]
    by_route: dict[tuple[str, ...], list[int]] = {}
    known: dict[tuple[int, ...], tuple[Concern, ...]] = {(): ()}
    exposed: list[tuple[Concern, ...]] = []
    doubtful: set[int] = set()
    for index, operation in enumerate(operations):
        near = by_route.get(operation.route)
        if near is None:
            near = by_route[operation.route] = [i for i, one in enumerate(windows) if one.link in operation.route]
        found: tuple[int, ...] = ()
        if near:
            start_ns, end_ns = operation.start_ns, until_ns(operation)
            found = tuple(i for i in near if windows[i].overlaps(start_ns, end_ns))
        certain = known.get(found)
        if certain is None:
            certain = known[found] = tuple(dict.fromkeys(concerns[i] for i in found if windows[i].certain))
        exposed.append(certain)
        if found and any(not windows[i].certain for i in found):
            doubtful.add(index)
    return exposed, doubtful


_Pair = tuple[str, str]


def _hits(evidence: Evidence) -> tuple[dict[int, set[_Pair]], dict[_Pair, int], dict[_Pair, int]]:
    """Operations hit, wire records acted on, and connections closed by a fault, per (fault, link)."""
    touched = [one for one in evidence.wire if one.faults and one.kind not in _FAULT_EVENTS]
    acted: dict[_Pair, int] = {}
    closed: dict[_Pair, int] = {}
    hits: dict[int, set[_Pair]] = {}
    if not touched:
        return hits, acted, closed
    trace_of = _Identity(evidence, touched)
    for record in touched:
        index = trace_of.operation(record)
        for fault in record.faults:
            pair = fault, record.link
            acted[pair] = acted.get(pair, 0) + 1
            if record.kind == "close":
                closed[pair] = closed.get(pair, 0) + 1
            if index is not None:
                hits.setdefault(index, set()).add(pair)
    return hits, acted, closed


class _Identity:
    """Finds the operation of a wire record: by trace id on a traced link, else by a connection that served only that operation."""

    def __init__(self, evidence: Evidence, touched: Sequence[WireRecord]) -> None:
        self._operations = evidence.operations
        self._by_trace = {one.trace_id: index for index, one in enumerate(evidence.operations) if one.trace_id}
        self._traced = frozenset(link.name for link in evidence.plan.links if link.traced)
        self._requests: dict[tuple[str, int, int], str] = {}
        self._served: dict[tuple[str, int], set[str]] = {}
        wanted = {(one.link, one.connection) for one in touched}
        for one in evidence.wire:
            if one.kind == "request" and (one.link, one.connection) in wanted:
                self._requests[one.link, one.connection, one.number] = one.trace_id
                self._served.setdefault((one.link, one.connection), set()).add(one.trace_id)

    def operation(self, record: WireRecord) -> int | None:
        if record.link in self._traced:
            trace = record.trace_id or self._requests.get((record.link, record.connection, record.number), "")
            if trace and record.kind != "close":
                return self._by_trace.get(trace)
        served = self._served.get((record.link, record.connection), set())
        if len(served) != 1:
            return None
        index = self._by_trace.get(next(iter(served)))
        if index is None:
            return None
        # A pooled connection that is cut long after its only operation was answered did not hit that operation.
        operation = self._operations[index]
        return index if operation.start_ns <= record.t_ns <= until_ns(operation) else None
