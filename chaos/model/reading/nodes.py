"""A YAML document as nodes that know their places."""

from __future__ import annotations

from dataclasses import dataclass

from chaos.model.reading.problems import Place, quote
from chaos.model.reading.scalars import Core

__all__ = ["Entry", "Mapping", "Node", "Scalar", "Sequence", "describe"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scalar:
    """A scalar: its text as written, and its value by the core schema (quoted ones are always text)."""

    place: Place
    text: str
    value: Core


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequence:
    """A list."""

    place: Place
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A key of a mapping with its own place, and its value."""

    key: str
    place: Place
    value: Node


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapping:
    """A mapping; keys are unique."""

    place: Place
    entries: tuple[Entry, ...]


Node = Scalar | Sequence | Mapping


def describe(node: Node) -> str:
    """What stands there, for a message that says it is not what was wanted."""
    if isinstance(node, Sequence):
        return "a list"
    if isinstance(node, Mapping):
        return "a mapping"
    if node.value is None:
        return "nothing"
    if isinstance(node.value, str):
        return f"the text {quote(node.text)}"
    return f"{quote(node.text)[1:-1]}"
