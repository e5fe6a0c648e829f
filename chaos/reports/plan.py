"""A plan as text: what would happen when, on which links, and what would be judged. Nothing is started."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TextIO

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from chaos.model.duration import format_ms
from chaos.model.fault import FAULT_KINDS, FaultSpec
from chaos.model.plan import Plan
from chaos.model.reach import amount_of, reach_of
from chaos.model.reading.limits import MAX_AT_ONCE, MAX_FAULT_MS, MAX_TIMELINE_MS
from chaos.model.scenario import AbortMetric, AbortWhen
from chaos.reports.screen import Screen, screen_of
from chaos.reports.text import count_of, one_line

__all__ = ["plan_text", "render_plan"]

_HOLE = "\0"
_SHOWN = 2


def render_plan(plan: Plan, *, file: TextIO) -> None:
    """Print the plan to `file`, as wide and colourful as it can show."""
    file.write(plan_text(plan, screen=screen_of(file)))
    file.flush()


def plan_text(plan: Plan, *, screen: Screen) -> str:
    """The plan as text for this screen."""
    scenario = plan.scenario
    parts: list[RenderableType] = [Text(one_line(scenario.name), style="bold")]
    if scenario.about:
        parts.append(Text(one_line(scenario.about)))
    defects = f", defects {', '.join(plan.defects)}" if plan.defects else ""
    through = f", through the proxy at {plan.proxy}" if plan.proxy else ""
    parts.append(
        Text(
            one_line(f"system {scenario.system}, links {scenario.links.name}, seed {scenario.seed}{defects}{through}"),
            style="dim",
        )
    )
    for title, table in _tables(plan):
        parts += [Text(), Text(title, style="bold"), table]
    return screen.text(*parts)


def _tables(plan: Plan) -> Iterator[tuple[str, Table]]:
    baseline, recovery = plan.scenario.timeline.baseline, plan.scenario.timeline.recovery
    yield (
        "workloads",
        _table(*((one.name, _rate(one.spec.rate_per_s), _operations_of(plan, one.name)) for one in plan.workloads)),
    )
    yield (
        "timeline",
        _table(
            (
                "baseline",
                "",
                f"until two windows of {format_ms(baseline.window_ms)} are steady, within {format_ms(baseline.within_ms)}",
            ),
            *(
                (f"+{format_ms(one.at_ms) if one.at_ms else '0s'}", f"for {format_ms(one.for_ms)}", _fault(one))
                for one in _by_time(plan)
            ),
            (
                "recovery",
                "",
                f"{recovery.probes} probes in a row, within {format_ms(recovery.within_ms)} after healing",
            ),
            *((("second runs", "", _second_runs(plan)),) if plan.scenario.expect.confirm is not None else ()),
        ),
    )
    links = {link for fault in plan.faults for link in fault.links}
    used = [(one.name, one.protocol.value, _link(plan, one.name)) for one in plan.links if one.name in links]
    yield "faulted links", _table(*used)
    yield "blast radius", _pairs(*_reaches(plan))
    yield "limits", _table(*_limits(plan))
    yield "judged", _table(*_cells(plan))
    if plan.not_judged:
        yield "not judged", _pairs(*_skipped(plan))


def _second_runs(plan: Plan) -> str:
    most = plan.scenario.expect.confirm
    return f"up to {most}, to confirm what rests on time" if most else "none: what rests on time stays unknown"


def _by_time(plan: Plan) -> list[FaultSpec]:
    return sorted(plan.faults, key=lambda one: (one.at_ms, one.name))


def _operations_of(plan: Plan, workload: str) -> str:
    return ", ".join(f"{one.name} (within {format_ms(one.deadline_ms)})" for one in plan.workload(workload).operations)


def _fault(one: FaultSpec) -> str:
    amounts = {name: _amount(one, name, value) for name, value in one.attributes.items()}
    given = ", ".join(text if name == one.kind else f"{name} {text}" for name, text in amounts.items())
    kind = " ".join(word for word in (one.kind, one.answer, given) if word) + _messages(one)
    toxicity = f", toxicity {one.toxicity:g}" if one.toxicity < 1 else ""
    named = f"{one.name}: " if one.name != one.kind else ""
    return f"{named}{kind} on {', '.join(one.links)}{toxicity}"


def _messages(one: FaultSpec) -> str:
    """Which messages it acts on, and when: ` after COMMIT, every 3`."""
    when = f" {one.phase or one.moment[0].value}" if one.of_messages else ""
    what = f" {one.operation}" if one.operation else ""
    which = "".join(f", {word} {number}" for word, number in one.count.items())
    return f"{when}{what}{which}{f' per {one.per}' if one.per else ''}"


def _amount(fault: FaultSpec, name: str, value: int) -> str:
    attribute = FAULT_KINDS[fault.kind].attributes.get(name)
    if attribute is not None and attribute.unit in {"ms", "us"}:
        return format_ms(value / 1000 if attribute.unit == "us" else value)
    if attribute is not None and attribute.unit == "ppm":
        return f"{value / 10_000:g}%"
    return f"{value} {attribute.unit}" if attribute is not None and attribute.unit != "flag" else str(value)


def _link(plan: Plan, name: str) -> str:
    users = [one.name for one in plan.workloads if name in one.route]
    return f"used by {', '.join(users)}" if users else "used by no workload: its faults cannot be judged"


def _cells(plan: Plan) -> Iterator[tuple[str, str, str]]:
    oracles: dict[str, list[str]] = {}
    for one in plan.cells:
        oracles.setdefault(one.oracle, []).append(one.fault or "no fault")
    for oracle, faults in oracles.items():
        yield oracle, count_of(len(faults), "cell"), ", ".join(dict.fromkeys(faults))


def _reaches(plan: Plan) -> Iterator[tuple[str, str]]:
    """Whom each fault can touch: services by the link map, operations by their routes."""
    for one in _by_time(plan):
        reach = reach_of(plan, one)
        through = f"; through them {', '.join(reach.behind)}" if reach.behind else ""
        yield one.name, f"felt by {', '.join(reach.callers) or 'the driver alone'}{through}"
        yield "", ", ".join(reach.operations) or "no operation uses its links"


def _limits(plan: Plan) -> Iterator[tuple[str, str, str]]:
    amount = amount_of(plan)
    yield "at once", str(amount.at_once), f"of {MAX_AT_ONCE} pairs of a fault and a link"
    yield "in all", format_ms(amount.total_ms), f"of {format_ms(MAX_FAULT_MS)} of fault, each link counted"
    yield "timeline", format_ms(amount.end_ms), f"of {format_ms(MAX_TIMELINE_MS)}"
    if not plan.scenario.timeline.abort:
        yield "abort", "never", "however badly the system does; timeline: abort: [...] stops early"
    for when in plan.scenario.timeline.abort:
        yield (
            "abort",
            _bound(when),
            f"over {format_ms(when.window_ms)}{f' of {when.workload}' if when.workload else ''}",
        )


def _bound(when: AbortWhen) -> str:
    above = format_ms(when.above) if when.metric is AbortMetric.P99 else f"{100 * when.above:g}%"
    return f"{when.metric.value} > {above}"


@dataclass(slots=True)
class _Skipped:
    """Cells that are not judged for the same reason, but for the workload."""

    oracles: dict[str, None]
    workloads: dict[str, None]
    enable: dict[str, None]
    count: int = 0


def _skipped(plan: Plan) -> Iterator[tuple[str, str]]:
    """What is not judged, by reason, and the lines that would enable it. Reasons that differ in the workload alone are one."""
    groups: dict[str, _Skipped] = {}
    for one in plan.not_judged:
        workload = one.cell.workload or ""
        masked = _named(workload).sub(_HOLE, one.reason) if workload else one.reason
        group = groups.setdefault(masked, _Skipped({}, {}, {}))
        group.oracles[one.cell.oracle] = None
        group.count += 1
        if workload:
            group.workloads[workload] = None
        if one.enable:
            group.enable[one.enable] = None
    for masked, group in groups.items():
        yield count_of(group.count, "cell"), ", ".join(group.oracles)
        yield "because", masked.replace(_HOLE, _and(list(group.workloads)))
        yield from zip(("to judge", "or"), list(group.enable)[:_SHOWN], strict=False)
        if len(group.enable) > _SHOWN:
            yield "or", f"{count_of(len(group.enable) - _SHOWN, 'more line')} (plan --json has them)"


def _named(workload: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w>.-]){re.escape(workload)}(?![\w>.-])")


def _and(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + f" and {names[-1]}" if len(names) > 1 else "".join(names)


def _rate(per_s: float) -> str:
    return f"{per_s:g}/s"


def _pairs(*rows: tuple[str, str]) -> Table:
    """Two columns, of which the second takes what is left of the line."""
    table = Table.grid(padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for first, second in rows:
        table.add_row(Text(f"  {one_line(first)}"), Text(one_line(second)))
    return table


def _table(*rows: tuple[str, ...]) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0), pad_edge=False)
    for _ in range(2):
        table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for row in rows:
        table.add_row(*(Text(f"  {one_line(cell)}" if not at else one_line(cell)) for at, cell in enumerate(row)))
    return table
