"""Where a value stands in a JSON text, as line and column from 1. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence

__all__ = ["Step", "line_and_column", "place_of"]

Step = int | str
"""An index of an array or a key of an object, whatever its case."""

_SPACE = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder()


def place_of(text: str, path: Sequence[Step]) -> tuple[int, int]:
    """Line and column of what a path leads to in a text that is JSON; a path that leads further ends at the last value there is."""
    at = _skip(text, 0)
    for step in path:
        inside = [start for key, start in _members(text, at) if _same(key, step)]
        if not inside:
            break
        at = inside[-1]  # of equal keys the last counts
    return line_and_column(text, at)


def line_and_column(text: str, at: int) -> tuple[int, int]:
    """Of an offset in characters."""
    return text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)


def _same(key: Step, step: Step) -> bool:
    return key == step or (isinstance(key, str) and isinstance(step, str) and key.casefold() == step.casefold())


def _members(text: str, at: int) -> Iterator[tuple[Step, int]]:
    """Keys or indices of the array or object at an offset, each with the offset of its value."""
    if text[at : at + 1] not in ("[", "{"):
        return
    keyed = text[at] == "{"
    index, at = 0, _skip(text, at + 1)
    while text[at] not in "]}":
        key: Step = index
        if keyed:
            key, at = _DECODER.raw_decode(text, at)
            at = _skip(text, _skip(text, at) + 1)  # the colon
        yield key, at
        at = _skip(text, _DECODER.raw_decode(text, at)[1])
        if text[at] == ",":
            at = _skip(text, at + 1)
        index += 1


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at
