"""Shapes of plain values: text, names, choices, whole numbers, numbers, fractions, flags."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from chaos.model.reading.nodes import Node, Scalar, describe
from chaos.model.reading.problems import Report, article, known, quote
from chaos.model.reading.shape import Schema, refuse

__all__ = ["Choice", "Flag", "Fraction", "Name", "Number", "Text", "Whole"]

_NAME = "[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
_PERCENT = r"[0-9]+(\.[0-9]+)?\s*%"


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """Free text of at most `longest` characters."""

    wanted: str = "text"
    example: str = "text"
    longest: int = 400
    shortest: int = 0

    def read(self, node: Node, report: Report) -> str | None:
        """The text."""
        if not isinstance(node, Scalar) or not isinstance(node.value, str):
            quoted = f'it in quotes: "{node.text[:40]}"' if isinstance(node, Scalar) and node.value is not None else ""
            refuse(node, report, self.wanted, quoted or self.example)
        elif len(node.text) > self.longest or len(node.text) < self.shortest:
            problem = f"text of {len(node.text)} characters"
            report.add(node.place, problem, f"write {self.shortest} to {self.longest}")
        else:
            return node.text
        return None

    def schema(self) -> Schema:
        """A string."""
        shortest = {"minLength": self.shortest} if self.shortest else {}
        return {"type": "string", **shortest, "maxLength": self.longest}


@dataclass(frozen=True, slots=True, kw_only=True)
class Name:
    """A name that may stand in a file name, a cell's id and a report. `reserved` words mean something else there."""

    reserved: tuple[str, ...] = ()

    def read(self, node: Node, report: Report) -> str | None:
        """The name."""
        if not isinstance(node, Scalar) or not isinstance(node.value, str) or not re.fullmatch(_NAME, node.text):
            refuse(node, report, "a name", "letters, digits, dots and dashes, at most 64, such as slow-postgres")
        elif node.text in self.reserved:
            report.add(node.place, f"the name {node.text} means something else in a report", "choose another")
        else:
            return node.text
        return None

    def schema(self) -> Schema:
        """A string with a pattern."""
        schema: Schema = {"type": "string", "pattern": f"^{_NAME}$"}
        return {**schema, "not": {"enum": list(self.reserved)}} if self.reserved else schema


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One of some words. `refused` are words that mean something real that is not there, with what to say instead."""

    what: str
    words: Collection[str]
    refused: Mapping[str, str] = field(default_factory=dict)

    def read(self, node: Node, report: Report) -> str | None:
        """The word."""
        if not isinstance(node, Scalar):
            refuse(node, report, article(self.what), " or ".join(self.words))
        elif node.text in self.refused:
            report.add(node.place, f"{self.what} {node.text} is not built yet", self.refused[node.text])
        elif node.text not in self.words:
            report.add(node.place, f"unknown {self.what} {quote(node.text)}", known(node.text, self.words))
        else:
            return node.text
        return None

    def schema(self) -> Schema:
        """An enumeration."""
        return {"type": "string", "enum": list(self.words)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """A whole number within bounds, both included."""

    least: int
    most: int
    example: int

    def read(self, node: Node, report: Report) -> int | None:
        """The number."""
        value = node.value if isinstance(node, Scalar) else None
        if not isinstance(value, int) or isinstance(value, bool):
            refuse(node, report, "a whole number", f"one such as {self.example}")
        elif not self.least <= value <= self.most:
            report.add(node.place, f"{quote(str(value))[1:-1]} is out of range", f"write {self.least} to {self.most}")
        else:
            return value
        return None

    def schema(self) -> Schema:
        """An integer within bounds."""
        return {"type": "integer", "minimum": self.least, "maximum": self.most}


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """A number within bounds, both included."""

    least: float
    most: float
    example: float

    def read(self, node: Node, report: Report) -> float | None:
        """The number."""
        value = node.value if isinstance(node, Scalar) else None
        if isinstance(value, bool) or not isinstance(value, int | float):
            refuse(node, report, "a number", f"one such as {self.example:g}")
        elif not self.least <= value <= self.most:  # NaN is never within
            report.add(node.place, f"{describe(node)} is out of range", f"write {self.least:g} to {self.most:g}")
        else:
            return float(value)
        return None

    def schema(self) -> Schema:
        """A number within bounds."""
        return {"type": "number", "minimum": self.least, "maximum": self.most}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fraction:
    """A share from 0 to 1, written as such or as a percentage (`above`: zero is not one)."""

    example: str = "1%"
    above: bool = False

    def read(self, node: Node, report: Report) -> float | None:
        """The share as a fraction of one."""
        value = node.value if isinstance(node, Scalar) else None
        if isinstance(value, str) and re.fullmatch(_PERCENT, value):
            value = float(value.rstrip("% \t")) / 100
        if isinstance(value, bool) or not isinstance(value, int | float) or not self.holds(value):
            refuse(node, report, f"a share {'above 0%' if self.above else 'from 0%'} to 100%", self.example)
            return None
        return float(value)

    def holds(self, value: float) -> bool:
        """Whether a number is such a share; NaN never is."""
        return 0 <= value <= 1 and not (self.above and value == 0)

    def schema(self) -> Schema:
        """A percentage or a number from 0 to 1."""
        number = {"type": "number", "exclusiveMinimum" if self.above else "minimum": 0, "maximum": 1}
        return {"anyOf": [{"type": "string", "pattern": f"^{_PERCENT}$"}, number]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """True or false."""

    def read(self, node: Node, report: Report) -> bool | None:
        """The truth value."""
        if isinstance(node, Scalar) and isinstance(node.value, bool):
            return node.value
        refuse(node, report, "true or false", "true or false (yes, no, on and off are plain text)")
        return None

    def schema(self) -> Schema:
        """A boolean."""
        return {"type": "boolean"}
