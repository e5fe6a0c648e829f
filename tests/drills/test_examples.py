"""The three small systems of docs/examples: the drill finds the flaw of each, and nothing in its mended variant."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.documents import ROOT
from tests.drills.running import run_drill

pytestmark = [pytest.mark.drill, pytest.mark.xdist_group("drill"), pytest.mark.timeout(240)]

EXAMPLES = ROOT / "docs/examples"
FOUND = {
    "orders": ("exactly-once", "duplicated"),
    "prices": ("bounded", "no-answer"),
    "mailer": ("exactly-once", "lost"),
}
"""The oracle that must say VIOLATED, and the class of its finding, as the page on own systems has it."""


def scenario(system: str, variant: str) -> str:
    """The scenario's path; one whose system needs Node is left out where there is none."""
    if system == "prices" and shutil.which("node") is None:
        pytest.skip("this example is written for Node, which is not installed")
    return str(EXAMPLES / system / f"{variant}.yaml")


@pytest.mark.parametrize("system", FOUND)
def test_the_flaw_is_found(system: str, tmp_path: Path) -> None:
    """Exit 1, by this oracle and no other, with a finding of this class."""
    result = run_drill(scenario(system, "flawed"), out=tmp_path)
    oracle, error_class = FOUND[system]
    assert result.code == 1, result.explain()
    assert result.violated() == {oracle}, result.explain()
    assert {one["error_class"] for one in result.verdict["findings"]} == {error_class}, result.explain()


@pytest.mark.parametrize("system", FOUND)
def test_mended_it_holds(system: str, tmp_path: Path) -> None:
    """The same drill on the same system without its flaw."""
    result = run_drill(scenario(system, "mended"), out=tmp_path)
    assert result.code == 0, result.explain()
