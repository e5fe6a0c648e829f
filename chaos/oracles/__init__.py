"""Oracles: pure functions from a run's evidence to verdicts with findings, one file for each property.

`derive` says which cells a plan has, `judge` judges them, `ORACLES` lists what can be asked.
"""

from __future__ import annotations

from chaos.oracles.algebra import add_up, roll_up
from chaos.oracles.cells import derive
from chaos.oracles.confirm import open_suspicions
from chaos.oracles.judge import judge
from chaos.oracles.oracle import Oracle
from chaos.oracles.registry import ORACLES

__all__ = ["ORACLES", "Oracle", "add_up", "derive", "judge", "open_suspicions", "roll_up"]
