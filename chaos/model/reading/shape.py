"""What a value may look like: one object both reads it from a node and describes it as JSON Schema."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from chaos.model.reading.nodes import Node, describe
from chaos.model.reading.problems import Place, Report

__all__ = ["At", "Schema", "Shape", "refuse"]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

Schema = dict[str, Any]


class Shape(Protocol[T_co]):
    """A form of value. What `schema` accepts, `read` accepts, except for bounds that JSON Schema cannot say (of durations, rates)."""

    def read(self, node: Node, report: Report) -> T_co | None:
        """The value, or None after reporting why there is none."""
        ...

    def schema(self) -> Schema:
        """The same as JSON Schema, draft 2020-12, without a description."""
        ...


@dataclass(frozen=True, slots=True)
class At(Generic[T]):
    """A value and its place."""

    value: T
    place: Place


def refuse(node: Node, report: Report, wanted: str, instead: str) -> None:
    """Report that a node is not what was wanted."""
    report.add(node.place, f"expected {wanted}, found {describe(node)}", f"write {instead}")
