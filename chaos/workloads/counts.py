"""How many starts there were, late and dropped ones too, per workload and phase of the intended start."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass

from chaos.model.event import LoadCounted, PhaseName

__all__ = ["LoadCounts"]

_SETTLE_NS = 500_000_000  # a new phase may be announced this long after its start: until then a start's phase is open


@dataclass(slots=True)
class _Tally:
    started: int = 0
    dropped: int = 0
    late: int = 0


class LoadCounts:
    """Totals per workload and phase. Time is an argument: a start counts for the phase its intended time lies in."""

    def __init__(self) -> None:
        self._from_ns: list[int] = [0]
        self._phases: list[PhaseName] = [PhaseName.BRING_UP]
        self._open: list[tuple[int, str, str]] = []
        self._totals: dict[tuple[str, PhaseName], _Tally] = defaultdict(_Tally)
        self._changed: set[tuple[str, PhaseName]] = set()

    def phase(self, phase: PhaseName, at_ns: int) -> None:
        """Starts intended from `at_ns` on belong to `phase`."""
        self._from_ns.append(max(at_ns, self._from_ns[-1]))
        self._phases.append(phase)

    def started(self, workload: str, intended_ns: int, *, late: bool) -> None:
        """Count a start."""
        self._open.append((intended_ns, workload, "late" if late else "started"))

    def dropped(self, workload: str, intended_ns: int) -> None:
        """Count a start that was dropped because the bound was reached."""
        self._open.append((intended_ns, workload, "dropped"))

    def report(self, now_ns: int, *, final: bool = False) -> list[LoadCounted]:
        """The totals that changed since the last report, without what is younger than the phases' settling unless `final`."""
        edge_ns = now_ns if final else now_ns - _SETTLE_NS
        settled = [one for one in self._open if final or one[0] < edge_ns]
        self._open = [] if final else [one for one in self._open if one[0] >= edge_ns]
        for intended_ns, workload, what in settled:
            self._add(workload, self._phases[bisect_right(self._from_ns, intended_ns) - 1], what)
        changed, self._changed = sorted(self._changed), set()
        return [self._counted(now_ns, *key) for key in changed]

    def _add(self, workload: str, phase: PhaseName, what: str) -> None:
        tally = self._totals[workload, phase]
        if what == "dropped":
            tally.dropped += 1
        else:
            tally.started += 1
            tally.late += what == "late"
        self._changed.add((workload, phase))

    def _counted(self, now_ns: int, workload: str, phase: PhaseName) -> LoadCounted:
        tally = self._totals[workload, phase]
        return LoadCounted(
            t_ns=now_ns, workload=workload, phase=phase, started=tally.started, dropped=tally.dropped, late=tally.late
        )
