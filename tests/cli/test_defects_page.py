"""The table of what finds what: made from the recorded runs, complete, and as the list of defects says."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

DOCS = Path(__file__).parents[2] / "docs"


def _generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_defects", DOCS / "generate_defects.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GENERATOR = _generator()
RESULTS = json.loads((DOCS / "defects.json").read_text())


def test_the_page_is_what_the_runs_say() -> None:
    """Nothing in it is written by hand: `python docs/generate_defects.py` writes it."""
    assert (DOCS / "defects.md").read_text() == GENERATOR.page(RESULTS)


@pytest.mark.parametrize("pair", GENERATOR.pairs(), ids="/".join)
def test_every_run_found_what_it_must_and_nothing_else(pair: tuple[str, str]) -> None:
    """Each drill holds on the correct backend; each defect is found by its oracles, and no other oracle speaks."""
    runs = RESULTS["/".join(pair)]["runs"]
    assert runs
    expected = GENERATOR.expected(pair)
    for run in runs:
        assert set(run["violated"]) == expected
        assert run["exit"] == (1 if expected else 0)
        assert expected or not run["unknown"]
