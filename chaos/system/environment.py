"""The environment children get: a minimal one, never the user's whole one with its tokens."""

from __future__ import annotations

import os
from collections.abc import Mapping

__all__ = ["RUN_VARIABLE", "minimal_environment"]

RUN_VARIABLE = "CHAOS_RUN"
"""Marks every process of a run with the name of its scratch directory, so that left-overs of a dead run can be found."""

_KEPT = frozenset({"HOME", "LANG", "LANGUAGE", "PATH", "TMPDIR", "TZ", "VIRTUAL_ENV"})
_KEPT_PREFIXES = ("LC_", "PYTHON")
_DROPPED = frozenset({"PYTHONDONTWRITEBYTECODE", "PYTHONINSPECT", "PYTHONSTARTUP"})


def minimal_environment(source: Mapping[str, str] | None = None) -> dict[str, str]:
    """What a child needs of `source` (our own environment by default): paths, locale, time zone, Python's switches.

    PYTHONDONTWRITEBYTECODE is left out: with it every start compiles everything anew.
    """
    found = os.environ if source is None else source
    return {
        name: value
        for name, value in found.items()
        if (name in _KEPT or name.startswith(_KEPT_PREFIXES)) and name not in _DROPPED
    }
