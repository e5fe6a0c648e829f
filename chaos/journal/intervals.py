"""When faults really began and ended: what was armed, joined with the proxy's records, whose times win."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from chaos.model.event import Event, FaultArmed, FaultEnded, FaultStarted
from chaos.model.evidence import FaultInterval
from chaos.model.wire_record import WireRecord

__all__ = ["FaultTimes"]


@dataclass(slots=True, kw_only=True)
class _Edge:
    """A moment at which a fault began or ended on a link, and who says so."""

    t_ns: int
    how: str
    from_wire: bool


@dataclass(slots=True, kw_only=True)
class _Armed:
    """One arming of a fault on a link."""

    armed_ns: int
    start_ns: int
    end_ns: int


class FaultTimes:
    """Collects events and wire records in any order; `intervals` joins them."""

    def __init__(self) -> None:
        self._armed: dict[tuple[str, str], list[_Armed]] = {}
        self._on: dict[tuple[str, str], list[_Edge]] = {}
        self._off: dict[tuple[str, str], list[_Edge]] = {}

    def event(self, event: Event) -> None:
        """Take an event; only those about faults matter."""
        if isinstance(event, FaultArmed):
            planned = _Armed(armed_ns=event.t_ns, start_ns=event.start_ns, end_ns=event.end_ns)
            self._armed.setdefault((event.fault, event.link), []).append(planned)
        elif isinstance(event, FaultStarted):
            self._edge(self._on, event.fault, event.link, _Edge(t_ns=event.t_ns, how="", from_wire=False))
        elif isinstance(event, FaultEnded):
            self._edge(self._off, event.fault, event.link, _Edge(t_ns=event.t_ns, how=event.how, from_wire=False))

    def wire(self, record: WireRecord) -> None:
        """Take a wire record; only `on` and `off` matter."""
        if record.kind in ("on", "off"):
            edges = self._on if record.kind == "on" else self._off
            for fault in record.faults:
                self._edge(edges, fault, record.link, _Edge(t_ns=record.t_ns, how=record.status, from_wire=True))

    def intervals(self) -> tuple[FaultInterval, ...]:
        """One interval per fault, link and arming, by planned start."""
        keys = dict.fromkeys([*self._armed, *self._on, *self._off])
        found = [one for fault, link in keys for one in self._of(fault, link)]
        return tuple(sorted(found, key=lambda one: (one.planned_start_ns, one.fault, one.link)))

    def _edge(self, edges: dict[tuple[str, str], list[_Edge]], fault: str, link: str, edge: _Edge) -> None:
        edges.setdefault((fault, link), []).append(edge)

    def _of(self, fault: str, link: str) -> Iterable[FaultInterval]:
        on, off = self._on.get((fault, link), []), self._off.get((fault, link), [])
        armed = _distinct(self._armed.get((fault, link), ())) or [_unplanned(on, off)]
        for at, one in enumerate(armed):
            # An edge belongs to the last arming before it; the first arming takes what came even earlier.
            since = one.armed_ns if at else 0
            until = armed[at + 1].armed_ns if at + 1 < len(armed) else None
            began, ended = _pick(on, since, until, first=True), _pick(off, since, until, first=False)
            yield FaultInterval(
                fault=fault,
                link=link,
                onset_ns=began.t_ns if began else None,
                heal_ns=ended.t_ns if ended else None,
                planned_start_ns=one.start_ns,
                planned_end_ns=one.end_ns,
                how=ended.how if ended else "",
            )


def _distinct(armed: Sequence[_Armed]) -> list[_Armed]:
    """Armings in order; one that repeats the schedule before it is the same arming asked for twice."""
    kept: list[_Armed] = []
    for one in sorted(armed, key=lambda one: one.armed_ns):
        if not kept or (one.start_ns, one.end_ns) != (kept[-1].start_ns, kept[-1].end_ns):
            kept.append(one)
    return kept


def _unplanned(on: Sequence[_Edge], off: Sequence[_Edge]) -> _Armed:
    """A fault that was seen but whose arming the record does not hold."""
    times = [edge.t_ns for edge in (*on, *off)]
    return _Armed(armed_ns=min(times), start_ns=min(times), end_ns=max(times))


def _pick(edges: Sequence[_Edge], since: int, until: int | None, *, first: bool) -> _Edge | None:
    """The first or last edge in [since, until): the proxy's where it has one, else the conductor's."""
    within = [edge for edge in edges if edge.t_ns >= since and (until is None or edge.t_ns < until)]
    best = [edge for edge in within if edge.from_wire] or within
    if not best:
        return None
    return (min if first else max)(best, key=lambda edge: edge.t_ns)
