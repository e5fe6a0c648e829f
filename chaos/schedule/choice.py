"""Which operation an arrival is: drawn by weight from a seeded stream, once for each intended start."""

from __future__ import annotations

import random
from collections.abc import Iterable

from chaos.model.workload import OperationKind

__all__ = ["OperationChoice"]


class OperationChoice:
    """Draws operations of a workload by their weights. Draw for dropped starts too, so that the n-th start is always the same one."""

    def __init__(self, operations: Iterable[OperationKind], rng: random.Random) -> None:
        self._operations = tuple(one for one in operations if one.weight > 0)
        if not self._operations:
            raise ValueError("a workload needs an operation with a weight above 0")
        self._weights = tuple(one.weight for one in self._operations)
        self._rng = rng

    def __repr__(self) -> str:
        shares = ", ".join(f"{one.name}: {one.weight}" for one in self._operations)
        return f"<OperationChoice {shares}>"

    def draw(self) -> OperationKind:
        """The next operation."""
        return self._rng.choices(self._operations, self._weights)[0]
