"""Shapes of values with a unit: durations, rates of operations, sizes, bytes per second."""

from __future__ import annotations

import re
from dataclasses import dataclass

from chaos.model.duration import format_ms, parse_duration_ms, parse_rate_per_s
from chaos.model.reading.nodes import Node, Scalar
from chaos.model.reading.problems import Report, quote
from chaos.model.reading.shape import Schema, refuse

__all__ = ["ByteRate", "Duration", "Rate", "Size"]

_NUMBER = r"[0-9]+(\.[0-9]+)?"
_DURATION = rf"{_NUMBER}\s*(us|ms|s|m|h)"
_RATE = rf"{_NUMBER}\s*/\s*(s|m|h)"
_SIZE = rf"{_NUMBER}\s*(B|KB|MB|GB)"
_BYTES = {"B": 1, "KB": 1000, "MB": 1_000_000, "GB": 1_000_000_000}


def _text(node: Node) -> str:
    return node.text if isinstance(node, Scalar) and isinstance(node.value, str) else ""


def _is_zero(node: Node) -> bool:
    """Zero needs no unit."""
    if not isinstance(node, Scalar) or isinstance(node.value, bool):
        return False
    return isinstance(node.value, int | float) and node.value == 0


def _with_zero(pattern: str) -> Schema:
    return {"anyOf": [{"type": "string", "pattern": f"^{pattern}$"}, {"type": "number", "const": 0}]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Duration:
    """A duration in milliseconds, within bounds, both included; `whole_us` is the step it must be a multiple of (0: any)."""

    least_ms: float = 0.0
    most_ms: float
    example: str
    whole_us: int = 0

    def read(self, node: Node, report: Report) -> float | None:
        """Milliseconds."""
        if _is_zero(node):
            ms = 0.0
        elif re.fullmatch(_DURATION, _text(node)):
            ms = parse_duration_ms(_text(node))
        else:
            refuse(node, report, "a duration", f"a number with a unit (us, ms, s, m, h), such as {self.example}")
            return None
        if not self.least_ms <= ms <= self.most_ms:
            bounds = f"{format_ms(self.least_ms)} to {format_ms(self.most_ms)}"
            report.add(node.place, f"{quote(_text(node) or '0')[1:-1]} is out of range", f"write {bounds}")
            return None
        if self.whole_us and round(ms * 1000) % self.whole_us:
            unit = "milliseconds" if self.whole_us == 1000 else "microseconds"
            report.add(
                node.place, f"{_text(node)} is not a whole number of {unit}", f"round it, such as {self.example}"
            )
            return None
        return ms

    def schema(self) -> Schema:
        """A string with a pattern, or zero."""
        pattern: Schema = {"type": "string", "pattern": f"^{_DURATION}$"}
        return pattern if self.least_ms > 0 else _with_zero(_DURATION)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """Operations per second, above zero."""

    most_per_s: float
    example: str = "5/s"

    def read(self, node: Node, report: Report) -> float | None:
        """Operations per second."""
        text = _text(node)
        if not re.fullmatch(_RATE, text):
            refuse(node, report, "a rate", f"a number per unit of time, such as {self.example} or 90/m")
            return None
        per_s = parse_rate_per_s(text) if float(text.partition("/")[0]) else 0.0
        if not 0 < per_s <= self.most_per_s:
            instead = f"write a rate above zero and at most {self.most_per_s:g}/s"
            report.add(node.place, f"{quote(text)[1:-1]} is out of range", instead)
            return None
        return per_s

    def schema(self) -> Schema:
        """A string with a pattern."""
        return {"type": "string", "pattern": f"^{_RATE}$"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """A number of bytes; 1 KB is 1000 bytes, as in Toxiproxy."""

    least: int = 0
    most: int = 1_000_000_000_000
    suffix: str = ""
    wanted: str = "a size"
    example: str = "64KB"

    def read(self, node: Node, report: Report) -> int | None:
        """Bytes."""
        match = re.fullmatch(_SIZE + re.escape(self.suffix), _text(node))
        if match is None and not _is_zero(node):
            refuse(node, report, self.wanted, f"a number with a unit (B, KB, MB, GB), such as {self.example}")
            return None
        count = float(match[0].partition(match[2])[0]) * _BYTES[match[2]] if match else 0.0
        if not self.least <= count <= self.most:
            bounds = f"{self.least}B{self.suffix} to {self.most}B{self.suffix}"
            report.add(node.place, f"{quote(_text(node) or '0')[1:-1]} is out of range", f"write {bounds}")
            return None
        return round(count)

    def schema(self) -> Schema:
        """A string with a pattern, or zero."""
        pattern = _SIZE + self.suffix
        return {"type": "string", "pattern": f"^{pattern}$"} if self.least else _with_zero(pattern)


@dataclass(frozen=True, slots=True, kw_only=True)
class ByteRate:
    """Bytes per second, a whole number of KB/s; 0 stalls."""

    example: str = "100KB/s"

    def read(self, node: Node, report: Report) -> int | None:
        """Thousands of bytes per second."""
        size = Size(suffix="/s", wanted="bytes per second", example=self.example).read(node, report)
        if size is None:
            return None
        if size % 1000:
            report.add(node.place, f"{_text(node)} is not a whole number of KB/s", f"write one such as {self.example}")
            return None
        return size // 1000

    def schema(self) -> Schema:
        """A string with a pattern, or zero."""
        return Size(suffix="/s").schema()
