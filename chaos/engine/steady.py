"""Steady state: two consecutive windows of answers that hold enough, are ok and keep their medians. Pure; time is an argument."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from dataclasses import dataclass
from statistics import median, quantiles

from chaos.model.event import BaselineJudged
from chaos.model.operation import Operation
from chaos.model.scenario import Baseline
from chaos.model.settings import Settings
from chaos.oracles.words import answer_text

__all__ = ["SteadyState"]

_MOST_TOLD = 3  # kinds of answers in a reason
_FEW = 5  # an operation kind with fewer answers in a window has no median worth comparing


@dataclass(frozen=True, slots=True)
class _Row:
    end_ns: int
    workload: str
    name: str
    ok: bool
    latency_ms: float
    told: str = ""
    """What was answered instead of ok."""


class SteadyState:
    """Collects answered operations and says when the last two windows are alike.

    A window covers `window_ms` of answers, prolonged backwards until it holds the scenario's minimum of operations, in all and for each
    workload. Medians are compared per operation kind, so that the mix of a workload does not count as a change; a difference below
    `baseline_median_floor_ms` is noise.
    """

    def __init__(self, baseline: Baseline, settings: Settings, workloads: tuple[str, ...]) -> None:
        self._baseline = baseline
        self._settings = settings
        self._workloads = workloads
        self._rows: deque[_Row] = deque(maxlen=50_000)
        self._seen = 0
        self.reason = "no operation was answered"

    def add(self, operation: Operation) -> None:
        """Take one finished operation; one without an answer counts at the end of its wait, as not ok."""
        self._seen += 1
        end_ns = operation.end_ns or operation.start_ns + int(2e6 * operation.deadline_ms)
        ok = operation.ok
        latency_ms = (end_ns - operation.intended_ns) / 1e6
        told = "" if ok else answer_text(operation.answer)
        self._rows.append(_Row(end_ns, operation.workload, operation.name, ok, latency_ms, told))

    def reached(self, start_ns: int, now_ns: int) -> bool:
        """Whether the two windows before now are steady; `reason` says why not."""
        rows = sorted((row for row in self._rows if start_ns <= row.end_ns < now_ns), key=lambda row: -row.end_ns)
        second, rest, edge_ns = self._window(rows, now_ns, start_ns)
        if not second:
            return False
        first, _, _ = self._window(rest, edge_ns, start_ns)
        return bool(first) and self._ok(first + second) and self._alike(first, second)

    def judged(self, now_ns: int, *, steady: bool) -> BaselineJudged:
        """The event that ends the baseline, with medians and p99 per workload over all its answers."""
        by_workload: dict[str, list[float]] = defaultdict(list)
        for row in self._rows:
            if row.ok:
                by_workload[row.workload].append(row.latency_ms)
        return BaselineJudged(
            t_ns=now_ns,
            steady=steady,
            reason="steady" if steady else self.reason,
            operations=self._seen,
            medians_ms={name: round(median(values), 3) for name, values in by_workload.items()},
            p99s_ms={name: round(_p99(values), 3) for name, values in by_workload.items()},
        )

    def limits_ms(self) -> dict[str, float]:
        """The slowest latency that still is baseline speed, by `workload.operation`: p50 x factor, p50 + floor, or p99, the largest."""
        by_kind: dict[str, list[float]] = defaultdict(list)
        for row in self._rows:
            if row.ok:
                by_kind[f"{row.workload}.{row.name}"].append(row.latency_ms)
        factor, floor_ms = self._settings.speed_factor, self._settings.speed_floor_ms
        return {
            key: max(factor * median(values), floor_ms + median(values), _p99(values))
            for key, values in by_kind.items()
        }

    def _window(self, rows: list[_Row], end_ns: int, start_ns: int) -> tuple[list[_Row], list[_Row], int]:
        """The newest window of rows (newest first) before `end_ns`, the rows before it, and its lower edge; empty if too few."""
        edge_ns = end_ns - int(self._baseline.window_ms * 1e6)
        taken: list[_Row] = []
        counts: dict[str, int] = defaultdict(int)
        for index, row in enumerate(rows):
            if row.end_ns < edge_ns and self._enough(len(taken), counts):
                return taken, rows[index:], edge_ns
            taken.append(row)
            counts[row.workload] += 1
            edge_ns = min(edge_ns, row.end_ns)
        if edge_ns >= start_ns and self._enough(len(taken), counts):
            return taken, [], edge_ns
        self.reason = (
            f"two windows of {self._baseline.window_ms / 1000:g} s with {self._baseline.min_operations} operations "
            f"({self._baseline.min_per_workload} of each workload) were not filled"
        )
        return [], [], edge_ns

    def _enough(self, total: int, counts: dict[str, int]) -> bool:
        least = self._baseline.min_per_workload
        return total >= self._baseline.min_operations and all(counts[name] >= least for name in self._workloads)

    def _ok(self, rows: list[_Row]) -> bool:
        bad = [row for row in rows if not row.ok]
        if 1 - len(bad) / len(rows) >= self._settings.baseline_ok_ratio:
            return True
        kinds = Counter(f"{row.workload}.{row.name}: {row.told}" for row in bad).most_common()
        told = [kind for kind, _ in kinds[:_MOST_TOLD]] + ["..."] * (len(kinds) > _MOST_TOLD)
        self.reason = f"{len(bad)} of {len(rows)} answers were not ok ({', '.join(told)})"
        return False

    def _alike(self, first: list[_Row], second: list[_Row]) -> bool:
        one, two = _medians(first), _medians(second)
        for key in one.keys() & two.keys():
            difference = abs(one[key] - two[key])
            limit = max(
                self._settings.baseline_median_floor_ms, self._settings.baseline_median_ratio * min(one[key], two[key])
            )
            if difference > limit:
                self.reason = f"the median of {key} went from {one[key]:.0f} to {two[key]:.0f} ms between two windows"
                return False
        return True


def _medians(rows: list[_Row]) -> dict[str, float]:
    values: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        values[f"{row.workload}.{row.name}"].append(row.latency_ms)
    return {key: median(many) for key, many in values.items() if len(many) >= _FEW}


def _p99(values: list[float]) -> float:
    return quantiles(values, n=100, method="inclusive")[98] if len(values) > 1 else values[0]
