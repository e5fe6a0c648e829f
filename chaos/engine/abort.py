"""Abort conditions: what the last window of answers comes to, looked at every second. Pure; time is an argument."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from math import ceil

from chaos.model.duration import format_ms
from chaos.model.event import Aborted
from chaos.model.operation import Operation
from chaos.model.scenario import AbortMetric, AbortWhen

__all__ = ["AbortWatch"]


@dataclass(frozen=True, slots=True)
class _Row:
    seen_ns: int
    workload: str
    ok: bool
    latency_ms: float
    late: bool


class AbortWatch:
    """Takes operations as they are reported, and says when a condition is met.

    A window counts from when an operation was reported: one without an answer is known at the end of its wait only. Quantiles are of all
    operations in the window; one without an answer took as long as it was waited for.
    """

    def __init__(self, conditions: tuple[AbortWhen, ...], late_ms: float) -> None:
        self._conditions = conditions
        self._late_ms = late_ms
        self._longest_ns = max((int(one.window_ms * 1e6) for one in conditions), default=0)
        self._rows: deque[_Row] = deque()

    def add(self, operation: Operation, now_ns: int) -> None:
        """Take a finished operation; probes are not of the load."""
        if not self._conditions or operation.probe:
            return
        end_ns = operation.end_ns or now_ns
        self._rows.append(
            _Row(
                now_ns,
                operation.workload,
                operation.ok,
                (end_ns - operation.intended_ns) / 1e6,
                operation.start_ns - operation.intended_ns > self._late_ms * 1e6,
            )
        )

    def met(self, now_ns: int) -> Aborted | None:
        """The first condition that is met by its window before now, or None. Windows with too few operations meet none."""
        while self._rows and self._rows[0].seen_ns < now_ns - self._longest_ns:
            self._rows.popleft()
        for one in self._conditions:
            since_ns = now_ns - int(one.window_ms * 1e6)
            rows = [row for row in self._rows if row.seen_ns >= since_ns and one.workload in {"", row.workload}]
            if len(rows) >= one.samples and (value := _value(one.metric, rows)) > one.above:
                return Aborted(t_ns=now_ns, why=_sentence(one, value, len(rows)))
        return None


def _value(metric: AbortMetric, rows: list[_Row]) -> float:
    if metric is AbortMetric.ERROR_RATE:
        return sum(not row.ok for row in rows) / len(rows)
    if metric is AbortMetric.LATE_STARTS:
        return sum(row.late for row in rows) / len(rows)
    return sorted(row.latency_ms for row in rows)[ceil(0.99 * len(rows)) - 1]


def _sentence(one: AbortWhen, value: float, count: int) -> str:
    text = format_ms if one.metric is AbortMetric.P99 else _percent
    where = f" of {one.workload}" if one.workload else ""
    return (
        f"{one.metric.value}{where} was {text(value)} over the last {format_ms(one.window_ms)} ({count} operations), "
        f"above the bound of {text(one.above)}"
    )


def _percent(share: float) -> str:
    return f"{100 * share:.3g}%"
