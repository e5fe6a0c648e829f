"""A plan as text: what would happen when, on which links, and what would be judged. Nothing is started."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TextIO

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from chaos.model.duration import format_ms
from chaos.model.fault import FAULT_KINDS, FaultSpec
from chaos.model.plan import Plan
from chaos.reports.screen import Screen, screen_of
from chaos.reports.text import count_of, one_line

__all__ = ["plan_text", "render_plan"]


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
    yield "judged", _table(*_cells(plan))
    if plan.not_judged:
        skipped: dict[str, list[str]] = {}
        for one in plan.not_judged:
            skipped.setdefault(one.reason, []).append(one.cell.oracle)
        yield (
            "not judged",
            _table(
                *((count_of(len(of), "cell"), _few(list(dict.fromkeys(of))), reason) for reason, of in skipped.items())
            ),
        )


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


def _few(names: list[str]) -> str:
    """All of two names; of more the first, and how many."""
    return ", ".join(names) if len(names) <= 2 else f"{names[0]} and {len(names) - 1} more"


def _rate(per_s: float) -> str:
    return f"{per_s:g}/s"


def _table(*rows: tuple[str, ...]) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0), pad_edge=False)
    for _ in range(2):
        table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for row in rows:
        table.add_row(*(Text(f"  {one_line(cell)}" if not at else one_line(cell)) for at, cell in enumerate(row)))
    return table
