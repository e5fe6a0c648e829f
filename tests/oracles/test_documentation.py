"""docs/verdicts.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from chaos.oracles import ORACLES

PAGE = (Path(__file__).parents[2] / "docs" / "verdicts.md").read_text(encoding="utf-8")


def test_every_oracle_has_its_row() -> None:
    """Name and whether it rests on time, in the order of the registry."""
    rows = re.findall(r"^\| `([a-z-]+)` \|.*\| (yes|no) \|$", PAGE, re.MULTILINE)
    assert rows == [(one.name, "yes" if one.timing else "no") for one in ORACLES]


def test_every_class_of_finding_is_explained() -> None:
    """A reader finds the class of a finding on the page."""
    errors = ("generic-500", "wrong-blame", "fault-without-cause", "no-class", "retry-after-lost", "cause-lost")
    effects = ("lost", "duplicated", "torn", "refused-but-applied", "phantom")
    retries = ("too-many-attempts", "no-pause", "retried-for-nothing", "retry-after-ignored", "retry-storm")
    budgets = ("budget-dropped", "budget-grown", "budget-not-reduced")
    traces = ("no-traceparent", "new-trace", "sampling-lost", "baggage-lost", "baggage-changed", "header-copied")
    for name in (*errors, *effects, *retries, *budgets, *traces, "drawn-in", "slowed"):
        assert f"`{name}`" in PAGE
