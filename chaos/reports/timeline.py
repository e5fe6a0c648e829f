"""A run as a picture in text: phases, faults as bars, answers and errors per second as sparklines, on one time axis."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil

from rich.cells import cell_len, set_cell_size

from chaos.model.event import PhaseName
from chaos.model.evidence import Evidence, FaultInterval
from chaos.model.operation import Operation
from chaos.reports.summary import origin_ns
from chaos.reports.text import one_line, shorten

__all__ = ["ASCII", "UNICODE", "Glyphs", "timeline"]

_LABEL = 16
_TAIL = 9  # room for "max 123/s" at the right
_MOST_FAULTS = 12
_STEPS_S = (0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600)
_SHORTEST_NAME = 4  # fewer letters of a phase say nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Glyphs:
    """The characters of a picture. `levels` go from nothing to the most; `edge` begins a phase."""

    bar: str
    planned: str
    empty: str
    edge: str
    rule: str
    levels: str


UNICODE = Glyphs(bar="█", planned="░", empty="·", edge="├", rule="─", levels=" ▁▂▃▄▅▆▇█")
ASCII = Glyphs(bar="#", planned="?", empty=".", edge="|", rule="-", levels=" .:-=+*%@")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Axis:
    """Time over columns: `columns` of them from `start_ns` to `end_ns`, right of `label`; `zero_ns` is the run's own zero."""

    label: int
    start_ns: int
    end_ns: int
    zero_ns: int
    columns: int

    def column(self, t_ns: int) -> int:
        """The column that holds a moment, kept within the picture."""
        at = (t_ns - self.start_ns) * self.columns // max(self.end_ns - self.start_ns, 1)
        return min(max(at, 0), self.columns - 1)

    @property
    def column_s(self) -> float:
        """Seconds that one column stands for."""
        return (self.end_ns - self.start_ns) / 1e9 / self.columns


def timeline(evidence: Evidence, *, width: int = 80, glyphs: Glyphs = UNICODE) -> tuple[str, ...]:
    """The picture's lines, none wider than `width`; none at all for a run that never came to its baseline."""
    axis = _axis(evidence, width)
    if axis is None:
        return ()
    load = [one for one in evidence.operations if not one.probe]
    lines = [
        _line(axis, "", _ticks(axis)),
        _line(axis, "phase", _phases(evidence, axis, glyphs)),
        *_faults(evidence.faults, axis, glyphs),
        _rate("ok", load, axis, glyphs, lambda one: one.ok and not one.unmet),
        _rate("not ok", load, axis, glyphs, lambda one: not one.ok or bool(one.unmet)),
    ]
    return tuple(line.rstrip() for line in lines if line)


def _axis(evidence: Evidence, width: int) -> _Axis | None:
    longest = max((cell_len(one_line(one.fault)) for one in evidence.faults), default=0)
    label = max(_LABEL, min(longest, width // 4))
    shown = [one for one in evidence.phases if one.phase not in _BEFORE and one.phase not in _AFTER]
    if not shown:
        return None
    ends = [one.end_ns for one in shown] + [one.heal_ns for one in evidence.faults if one.heal_ns is not None]
    start_ns, end_ns = shown[0].start_ns, max(ends)
    if end_ns <= start_ns:
        return None
    columns = max(width - label - _TAIL - 2, 20)
    return _Axis(label=label, start_ns=start_ns, end_ns=end_ns, zero_ns=origin_ns(evidence), columns=columns)


_BEFORE = (PhaseName.PREFLIGHT, PhaseName.BRING_UP)
_AFTER = (PhaseName.STOP, PhaseName.JUDGE)


def _line(axis: _Axis, label: str, picture: str, tail: str = "") -> str:
    return f"{set_cell_size(shorten(label, axis.label), axis.label)} {picture} {tail}"


def _ticks(axis: _Axis) -> str:
    """Round seconds of the run, as far apart as their texts need."""
    least_s = 8 * axis.column_s  # of a record that was tampered with, any number
    step = next((one for one in _STEPS_S if one >= least_s), ceil(least_s))
    row = [" "] * axis.columns
    at = -(-(axis.start_ns - axis.zero_ns) // int(step * 1e9)) * int(step * 1e9)
    while (t_ns := axis.zero_ns + at) < axis.end_ns:
        text, column = f"{at / 1e9:g}s", axis.column(t_ns)
        if column + len(text) < axis.columns:
            row[column : column + len(text)] = text
        at += int(step * 1e9)
    return "".join(row)


def _phases(evidence: Evidence, axis: _Axis, glyphs: Glyphs) -> str:
    row = [glyphs.rule] * axis.columns
    spans = [one for one in evidence.phases if one.end_ns > axis.start_ns and one.start_ns < axis.end_ns]
    for span in spans:
        first, last = axis.column(span.start_ns), axis.column(span.end_ns)
        row[first] = glyphs.edge
        name = span.phase.value
        shown = name if len(name) < last - first else name[: max(last - first - 1, 0)]
        if len(shown) >= min(len(name), _SHORTEST_NAME):
            row[first + 1 : first + 1 + len(shown)] = shown
    return "".join(row)


def _faults(faults: Sequence[FaultInterval], axis: _Axis, glyphs: Glyphs) -> list[str]:
    lines = [_line(axis, one.fault, _bar(one, axis, glyphs)) for one in faults[:_MOST_FAULTS]]
    if len(faults) > _MOST_FAULTS:
        lines.append(_line(axis, "", f"and {len(faults) - _MOST_FAULTS} more"))
    return lines


def _bar(fault: FaultInterval, axis: _Axis, glyphs: Glyphs) -> str:
    """The fault's time on its link; where it never began, the time it was planned for."""
    began = fault.onset_ns is not None
    start_ns = fault.onset_ns if fault.onset_ns is not None else fault.planned_start_ns
    end_ns = fault.heal_ns if fault.heal_ns is not None else (axis.end_ns if began else fault.planned_end_ns)
    first, last = axis.column(start_ns), axis.column(end_ns)
    row = [glyphs.empty] * axis.columns
    row[first : last + 1] = (glyphs.bar if began else glyphs.planned) * (last + 1 - first)
    return "".join(_beside(row, f" {shorten(fault.link, 24)} ", first, last))


def _beside(row: list[str], text: str, first: int, last: int) -> list[str]:
    """Write the link's name right of its bar, or left of it, where there is room; one of wide characters would shift the row."""
    if cell_len(text) != len(text):
        return row
    if last + 1 + len(text) <= len(row):
        row[last + 1 : last + 1 + len(text)] = text
    elif len(text) <= first:
        row[first - len(text) : first] = text
    return row


def _rate(
    label: str, operations: Sequence[Operation], axis: _Axis, glyphs: Glyphs, counts: Callable[[Operation], bool]
) -> str:
    """Operations per second by their intended start, over a second or a column, whichever is longer; each against the largest."""
    starts = sorted(
        one.intended_ns for one in operations if axis.start_ns <= one.intended_ns < axis.end_ns and counts(one)
    )
    half_ns = round(max(axis.column_s, 1.0) * 1e9 / 2)
    rates = []
    for column in range(axis.columns):
        middle_ns = axis.start_ns + (2 * column + 1) * (axis.end_ns - axis.start_ns) // (2 * axis.columns)
        first_ns, last_ns = max(middle_ns - half_ns, axis.start_ns), min(middle_ns + half_ns, axis.end_ns)
        found = bisect_left(starts, last_ns) - bisect_left(starts, first_ns)
        rates.append(found / (last_ns - first_ns) * 1e9)
    most, top = max(rates), len(glyphs.levels) - 1
    picture = "".join(glyphs.levels[math.ceil(rate / most * top) if rate else 0] for rate in rates)
    return _line(axis, f"{label}/s", picture, f"max {_per_s(most)}" if most else "none")


def _per_s(rate: float) -> str:
    return f"{rate:.0f}/s" if rate >= 9.5 else f"{rate:.1f}/s"
