"""Deriving the cells of a plan: which oracle judges which fault on which workload, and why the others are NOT JUDGED."""

from __future__ import annotations

import difflib

import msgspec

from chaos.errors import UsageError
from chaos.model.plan import Plan
from chaos.model.verdict import Cell, NotJudged
from chaos.oracles.registry import ORACLES

__all__ = ["derive"]


def derive(plan: Plan) -> Plan:
    """The plan with its cells, and those not judged with the line that would enable each.

    Raises UsageError for an oracle that does not exist, and for a scenario in which no cell applies.
    """
    asked = plan.scenario.expect.oracles
    _refuse_unknown(asked or ())
    cells: list[Cell] = []
    skipped: list[NotJudged] = []
    for oracle in ORACLES:
        if asked is not None and oracle.name not in asked:
            skipped.append(_not_asked(oracle.name, asked))
            continue
        for one in oracle.cells(plan):
            (cells if isinstance(one, Cell) else skipped).append(one)  # type: ignore[arg-type]  # one list for each type
    if not cells:
        raise UsageError(
            f"{plan.scenario.source or plan.scenario.name}: no oracle applies to this scenario; {_hint(plan)}"
        )
    return msgspec.structs.replace(plan, cells=tuple(cells), not_judged=tuple(skipped))


def _refuse_unknown(asked: tuple[str, ...]) -> None:
    names = [one.name for one in ORACLES]
    for name in asked:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            raise UsageError(
                f"there is no oracle {name!r}; "
                + (f"did you mean {near[0]}?" if near else f"known: {', '.join(names)}")
            )


def _not_asked(name: str, asked: tuple[str, ...]) -> NotJudged:
    return NotJudged(
        cell=Cell(oracle=name),
        reason="the scenario does not ask for it",
        enable=f"expect.oracles: [{', '.join([*asked, name])}]",
    )


def _hint(plan: Plan) -> str:
    if plan.scenario.expect.oracles is not None:
        return "leave out `expect.oracles` to ask for all of them"
    return "add a workload and a fault on a link that it uses"
