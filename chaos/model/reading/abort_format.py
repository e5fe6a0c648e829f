"""The form of abort conditions: a metric, its bound, the window and the operations that it takes."""

from __future__ import annotations

from collections.abc import Sequence

from chaos.model.reading.groups import Field, Fields, ListOf, Record, Variants
from chaos.model.reading.limits import MAX_TIMELINE_MS
from chaos.model.reading.measured import Duration
from chaos.model.reading.plain import Choice, Fraction, Name, Whole
from chaos.model.reading.problems import Report, known
from chaos.model.reading.shape import At
from chaos.model.scenario import AbortMetric, AbortWhen, WorkloadSpec

__all__ = ["abort_field", "read_aborts"]

_MOST = 16
_ABOUT = {
    AbortMetric.ERROR_RATE: "Share of operations that were not answered ok",
    AbortMetric.P99: "99th percentile of latency, from the intended start",
    AbortMetric.LATE_STARTS: "Share of operations that the driver started late: the load is not what was asked for",
}


def abort_field() -> Field:
    """The conditions under `timeline`."""
    records = {metric.value: _record(metric) for metric in AbortMetric}
    return Field(
        ListOf(Variants("abort condition", "metric", records), "abort condition", _MOST),
        "When to stop: looked at every second; everything is healed at once, what there is is judged, exit code 4",
        [{"metric": "error_rate", "above": "50%"}],
        default="never",
    )


def _record(metric: AbortMetric) -> Record:
    late = metric is AbortMetric.P99
    bound = Duration(least_ms=1, most_ms=MAX_TIMELINE_MS, example="2s") if late else Fraction(example="50%")
    fields = {
        "metric": Field(Choice(what="metric", words=(metric.value,)), "What is looked at", metric.value, required=True),
        "above": Field(bound, "The bound: the condition is met above it", "2s" if late else "50%", required=True),
        "window": Field(
            Duration(least_ms=2000, most_ms=600_000, example="5s"), "Of the last answers, so long", "5s", default="5s"
        ),
        "samples": Field(
            Whole(least=50, most=1_000_000, example=50), "Fewer operations in the window meet nothing", 50, default="50"
        ),
        "workload": Field(Name(), "Only operations of this workload", "rag", default="all"),
    }
    return Record("abort condition", fields, about=_ABOUT[metric])


def read_aborts(
    records: Sequence[At[Fields]], workloads: Sequence[WorkloadSpec], report: Report
) -> tuple[AbortWhen, ...]:
    """The conditions that could be read; each workload they name must be one of the scenario's, and fill its window."""
    found: list[AbortWhen] = []
    for record in records:
        fields = record.value
        if not {"metric", "above"} <= fields.values.keys():
            continue
        one = AbortWhen(
            metric=AbortMetric(fields["metric"]),
            above=fields["above"],
            window_ms=fields.get("window", 5000.0),
            samples=fields.get("samples", 50),
            workload=fields.get("workload", ""),
        )
        names = [each.name for each in workloads]
        if one.workload and one.workload not in names:
            report.add(fields.place_of("workload"), f"there is no workload {one.workload}", known(one.workload, names))
        else:
            _check_reach(one, fields, workloads, report)
        found.append(one)
    return tuple(found)


def _check_reach(one: AbortWhen, fields: Fields, workloads: Sequence[WorkloadSpec], report: Report) -> None:
    """A window that can never hold enough operations would be a safety net with no net."""
    per_s = sum(each.rate_per_s for each in workloads if one.workload in {"", each.name})
    holds = per_s * one.window_ms / 1000
    if workloads and holds < one.samples:
        what = f"at {per_s:g} operations/s the window holds about {holds:.0f} of {one.samples} samples: it would never stop"
        report.add(fields.place_of("window"), what, f"write a window of {_seconds(one.samples / per_s)} or more")


def _seconds(value: float) -> str:
    return f"{int(value) + 1}s"
