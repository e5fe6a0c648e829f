"""What an oracle is: a name, the cells it has in a plan, and a pure function from evidence to a cell's verdict."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from chaos.model.plan import Plan
from chaos.model.verdict import Cell, CellVerdict, NotJudged
from chaos.oracles.case import Case

__all__ = ["Oracle"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Oracle:
    """One property. `timing`: its violations rest on time, so driver lag and clock steps make it undecided.

    `needs` says what a user must bring for it ("-" for nothing); `cells` derives the cells that apply and those that do not.
    """

    name: str
    summary: str
    timing: bool
    needs: str
    cells: Callable[[Plan], Iterable[Cell | NotJudged]]
    judge: Callable[[Case, Cell], CellVerdict]
