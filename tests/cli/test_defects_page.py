"""The table of what finds what: made from the recorded runs, complete, and as the list of defects says."""

from __future__ import annotations

import json

import pytest

from tests.documents import ROOT, script

DOCS = ROOT / "docs"
GENERATOR = script("generate_defects")
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
        assert expected <= set(run["violated"]) <= GENERATOR.allowed(pair)
        assert run["exit"] == (1 if expected else 0)
        assert expected or not run["unknown"]
