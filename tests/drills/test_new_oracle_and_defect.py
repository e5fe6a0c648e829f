"""The oracle and the defect of the two pages on writing one find each other in a whole drill."""

from __future__ import annotations

import compileall
from pathlib import Path

import pytest

from tests.documents import ROOT, copy_tree, put
from tests.drills.running import run_drill

pytestmark = [pytest.mark.drill, pytest.mark.xdist_group("drill"), pytest.mark.timeout(240)]


def test_the_new_oracle_finds_the_new_defect(tmp_path: Path) -> None:
    """VIOLATED by this oracle, by no other, with one finding that says what was told."""
    tree = copy_tree(tmp_path / "tree")
    for page in ("writing-an-oracle", "writing-a-defect"):
        put(ROOT / f"docs/{page}.md", tree)
    compileall.compile_dir(tree / "chaos", quiet=1)
    found = ("provider-refusing", "--defect", "address-in-detail")
    result = run_drill(*found, out=tmp_path / "runs", env={"PYTHONPATH": str(tree)}, cwd=tree)
    assert result.code == 1, result.explain()
    assert result.violated() == {"no-internals"}, result.explain()
    assert {one["error_class"] for one in result.verdict["findings"]} == {"inside-told"}
    assert set(result.cells("no-internals").values()) == {"HOLDS", "VIOLATED"}
