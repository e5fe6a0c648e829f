"""Patterns of a scenario: a text to look for, or a `/regular expression/`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

__all__ = ["Look", "first_status", "look_for", "look_in_line", "regex_of"]

Look = Callable[[str], bool]
"""Whether a text is one of those that are looked for."""


def regex_of(pattern: str) -> str | None:
    """The regular expression between the slashes of a pattern, or None for a text."""
    return pattern[1:-1] if len(pattern) > 2 and pattern[0] == pattern[-1] == "/" else None


def look_for(pattern: str) -> Look:
    """Looks for the pattern anywhere."""
    regex = regex_of(pattern)
    if regex is None:
        return lambda text: pattern in text
    compiled = re.compile(regex, re.MULTILINE)
    return lambda text: compiled.search(text) is not None


def look_in_line(pattern: str) -> Look:
    """Looks at a line: a text is how it begins, a regular expression may match anywhere in it."""
    return look_for(pattern) if regex_of(pattern) else lambda line: line.startswith(pattern)


def first_status(errors: Mapping[str, int], look: Callable[[str], Look]) -> Callable[[str], int | None]:
    """The status of the first pattern that a text has, or None."""
    known = [(look(pattern), status) for pattern, status in errors.items()]
    return lambda text: next((status for found, status in known if found(text)), None)
