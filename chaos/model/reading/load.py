"""From the records of the load to workloads, and whether the baseline can be reached with it."""

from __future__ import annotations

from collections.abc import Sequence

from chaos.model.duration import format_ms
from chaos.model.plain import PLAIN_KINDS
from chaos.model.reading.groups import Fields
from chaos.model.reading.limits import MAX_RATE_PER_S
from chaos.model.reading.plain_values import check_plain_links, read_plain
from chaos.model.reading.plain_variables import check_variables
from chaos.model.reading.problems import Place, Report
from chaos.model.reading.shape import At
from chaos.model.reading.vocabulary import Vocabulary
from chaos.model.scenario import Arrivals, Baseline, LinkMap, WorkloadSpec

__all__ = ["check_baseline", "check_routes", "read_workloads"]


def read_workloads(
    records: Sequence[At[Fields]], budget_header: str | None, vocabulary: Vocabulary, report: Report
) -> tuple[WorkloadSpec, ...]:
    """The workloads that could be read; names must be unique and the total rate within bounds."""
    found: dict[str, Place] = {}
    for record in records:
        fields = record.value
        name = fields.get("name") or fields.get("kind")
        if name in found:
            what = f"the workload name {name} stands twice (first on line {found[name].line})"
            report.add(fields.place_of("name"), what, "add name: with another name")
        found.setdefault(name, fields.place_of("name"))
    workloads = tuple(
        _workload(one.value, budget_header, vocabulary, report)
        for one in records
        if {"kind", "rate"} <= one.value.values.keys()
    )
    total = sum(one.rate_per_s for one in workloads)
    if total > MAX_RATE_PER_S:
        report.add(records[0].place, f"{total:g} operations/s in all", f"keep within {MAX_RATE_PER_S:g}/s")
    return workloads


def _workload(fields: Fields, budget_header: str | None, vocabulary: Vocabulary, report: Report) -> WorkloadSpec:
    plain = read_plain(fields, budget_header, report) if fields["kind"] in PLAIN_KINDS else None
    if plain is None:
        weights = {name: weight.value for name, (_, weight) in fields.get("operations", {}).items()}
    else:
        check_variables(fields, plain, vocabulary.environment, report)
        weights = {name: one.weight for name, one in plain.operations.items()}
    return WorkloadSpec(
        name=fields.get("name") or fields["kind"],
        kind=fields["kind"],
        rate_per_s=fields["rate"],
        arrivals=Arrivals(fields.get("arrivals", Arrivals.POISSON.value)),
        bound=fields.get("bound", 32),
        deadline_ms=fields.get("deadline"),
        completion_ms=fields.get("completion"),
        operations=weights,
        plain=plain,
    )


def check_routes(records: Sequence[At[Fields]], link_map: LinkMap, vocabulary: Vocabulary, report: Report) -> None:
    """Every link on a route of a used operation must be in the map, or its traffic would bypass the proxy."""
    for record in records:
        if record.value.get("kind") in PLAIN_KINDS:
            check_plain_links(record.value, link_map, report)
            continue
        kind = vocabulary.workload(record.value.get("kind", ""))
        used = record.value.get("operations") or {}
        operations = [one for one in kind.operations if not used or one.name in used] if kind else []
        for link in dict.fromkeys(link for one in operations for link in one.route):
            if link not in link_map.names:
                what = f"{record.value['kind']} uses the link {link}, which the map {link_map.name} lacks"
                report.add(
                    record.value.place_of("kind"), what, "add it to the map, or its traffic would bypass the proxy"
                )


def check_baseline(baseline: Baseline, fields: Fields, workloads: Sequence[WorkloadSpec], report: Report) -> None:
    """The baseline must be possible: two windows within its time, and enough operations for each of them at this rate."""
    place = fields.place_of
    seconds, within = baseline.within_ms / 1000, format_ms(baseline.within_ms)
    if baseline.within_ms < 2 * baseline.window_ms:
        least = format_ms(2 * baseline.window_ms)
        report.add(place("within"), f"two windows do not fit into {within}", f"write at least {least}")
    total = sum(one.rate_per_s for one in workloads)
    if workloads and total * seconds < 2 * baseline.min_operations:
        what = (
            f"at {total:g} operations/s, {within} hold only {total * seconds:.0f} operations, too few for two windows"
        )
        instead = f"lower min_operations (of each window) from {baseline.min_operations}, or raise within or a rate"
        report.add(place("min_operations"), what, instead)
    for one in workloads:
        if one.rate_per_s * seconds < 2 * baseline.min_per_workload:
            started = f"{one.name} starts only {one.rate_per_s * seconds:.0f} operations in {within}"
            what = f"at {one.rate_per_s:g}/s, {started}, too few for two windows"
            instead = (
                f"lower min_per_workload (of each window) from {baseline.min_per_workload}, or raise within or the rate"
            )
            report.add(place("min_per_workload"), what, instead)
