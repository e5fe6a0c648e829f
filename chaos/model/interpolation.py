"""Texts with holes: `${NAME}` of the environment, `{port}` and `{python}` of a service, `{callee.host}` of what it calls."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

__all__ = ["PARTS", "callee_holes", "expand_environment", "interpolate", "names_in"]

PARTS = ("url", "host", "port", "user", "password", "database")
"""What can be said of a callee."""

_ENVIRONMENT = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_OWN = ("host", "port", "python")
_HOLE = re.compile(r"(?<![{$])\{([A-Za-z0-9][A-Za-z0-9_-]*\.[a-z]+|" + "|".join(_OWN) + r")\}")

_ANY = re.compile(f"{_ENVIRONMENT.pattern}|{_HOLE.pattern}")


def expand_environment(text: str, environment: Mapping[str, str]) -> str:
    """`text` with every `${NAME}` replaced. Raises KeyError with the name of a variable that is not set."""
    return _ENVIRONMENT.sub(lambda match: environment[match[1]], text)


def names_in(text: str) -> tuple[str, ...]:
    """The variables that the text asks of the environment."""
    return tuple(match[1] for match in _ENVIRONMENT.finditer(text))


def callee_holes(text: str) -> Iterator[tuple[str, str]]:
    """Callee and part of every `{callee.part}`."""
    for match in _HOLE.finditer(text):
        callee, dot, part = match[1].partition(".")
        if dot:
            yield callee, part


def interpolate(text: str, values: Mapping[str, str], environment: Mapping[str, str]) -> str:
    """`text` with every `${NAME}` and the holes that `values` knows (`port`, `postgres.url`) filled; others stay as they are.

    Both at once: what was filled in is not looked at again. Raises KeyError with the name of a variable that is not set.
    """
    return _ANY.sub(lambda match: environment[match[1]] if match[1] else values.get(match[2], match[0]), text)
