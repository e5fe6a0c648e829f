"""Abort conditions: what the last window of answers comes to, looked at every second. Pure; time is an argument."""

from __future__ import annotations

from dataclasses import dataclass
from heapq import nlargest
from itertools import islice
from math import ceil

from chaos.model.duration import format_ms
from chaos.model.event import Aborted
from chaos.model.operation import Operation
from chaos.model.scenario import AbortMetric, AbortWhen

__all__ = ["AbortWatch"]

_FORGET = 10_000  # rows that no window needs are dropped so many at a time


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
    operations in the window; one without an answer took as long as it was waited for. A look costs what came and went since the last one,
    however long the windows are: it is taken by the loop that renews the lease.
    """

    def __init__(self, conditions: tuple[AbortWhen, ...], late_ms: float) -> None:
        self._late_ms = late_ms
        self._windows = tuple(_Window(one) for one in conditions)
        self._rows: list[_Row] = []

    def add(self, operation: Operation, now_ns: int) -> None:
        """Take a finished operation; probes are not of the load."""
        if not self._windows or operation.probe:
            return
        row = _Row(
            now_ns,
            operation.workload,
            operation.ok,
            ((operation.end_ns or now_ns) - operation.intended_ns) / 1e6,
            operation.start_ns - operation.intended_ns > self._late_ms * 1e6,
        )
        self._rows.append(row)
        for window in self._windows:
            window.count(row, 1)

    def met(self, now_ns: int) -> Aborted | None:
        """The first condition that is met by its window before now, or None. Windows with too few operations meet none."""
        for window in self._windows:
            window.move(self._rows, now_ns)
        self._forget()
        for window in self._windows:
            if window.met:
                return Aborted(t_ns=now_ns, why=_sentence(window.condition, window.value(self._rows), window.total))
        return None

    def _forget(self) -> None:
        past = min((window.start for window in self._windows), default=0)
        if past >= _FORGET:
            del self._rows[:past]
            for window in self._windows:
                window.start -= past


class _Window:
    """The operations of a condition's window, counted: those from `start` on, and how many of them are `over` the bound."""

    __slots__ = ("condition", "over", "start", "total")

    def __init__(self, condition: AbortWhen) -> None:
        self.condition = condition
        self.start = 0
        self.total = 0
        self.over = 0

    def __repr__(self) -> str:
        return f"<_Window of {self.condition.metric.value}: {self.over} of {self.total} from {self.start} on>"

    def count(self, row: _Row, by: int) -> None:
        if self._concerns(row):
            self.total += by
            self.over += by * self._is_over(row)

    def move(self, rows: list[_Row], now_ns: int) -> None:
        since_ns = now_ns - int(self.condition.window_ms * 1e6)
        while self.start < len(rows) and rows[self.start].seen_ns < since_ns:
            self.count(rows[self.start], -1)
            self.start += 1

    @property
    def met(self) -> bool:
        if self.total < self.condition.samples:
            return False
        if self.condition.metric is AbortMetric.P99:
            return self.over >= self._from_top()
        return self.over / self.total > self.condition.above

    def value(self, rows: list[_Row]) -> float:
        """What the metric comes to; asked once, when the condition is met."""
        if self.condition.metric is not AbortMetric.P99:
            return self.over / self.total
        slow = (row.latency_ms for row in islice(rows, self.start, None) if self._concerns(row))
        return nlargest(self._from_top(), slow)[-1]

    def _from_top(self) -> int:
        """Which of the latencies, counted from the largest, is the 99th percentile."""
        return self.total - ceil(0.99 * self.total) + 1

    def _concerns(self, row: _Row) -> bool:
        return self.condition.workload in {"", row.workload}

    def _is_over(self, row: _Row) -> bool:
        if self.condition.metric is AbortMetric.ERROR_RATE:
            return not row.ok
        return row.late if self.condition.metric is AbortMetric.LATE_STARTS else row.latency_ms > self.condition.above


def _sentence(one: AbortWhen, value: float, count: int) -> str:
    text = format_ms if one.metric is AbortMetric.P99 else _percent
    where = f" of {one.workload}" if one.workload else ""
    return (
        f"{one.metric.value}{where} was {text(value)} over the last {format_ms(one.window_ms)} ({count} operations), "
        f"above the bound of {text(one.above)}"
    )


def _percent(share: float) -> str:
    return f"{100 * share:.3g}%"
