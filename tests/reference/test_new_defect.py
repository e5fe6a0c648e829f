"""A new defect is an `if` and two entries: the example of the page on writing one, put into a copy of the tree and run there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.documents import ROOT, copy_tree, put, run_tests

PAGE = ROOT / "docs/writing-a-defect.md"


@pytest.mark.timeout(240)
def test_the_page_as_it_stands(tmp_path: Path) -> None:
    """Its test passes: the defect shows where the correct backend does not. So do the laws of the two lists."""
    tree = copy_tree(tmp_path)
    put(PAGE, tree)
    done = run_tests(
        tree, "tests/reference/test_defects.py", "-k", "address_in_detail or known or its_services or tool"
    )
    assert done.returncode == 0, done.stdout
    assert "4 passed" in done.stdout


def test_the_table_of_what_finds_what_has_its_row(tmp_path: Path) -> None:
    """Written anew it has the pair, which nobody has run yet, beside the others."""
    tree = copy_tree(tmp_path)
    put(PAGE, tree)
    subprocess.run(
        [sys.executable, "docs/generate_defects.py"], cwd=tree, env={**os.environ, "PYTHONPATH": str(tree)}, check=True
    )
    page = (tree / "docs/defects.md").read_text()
    assert page.count("| `provider-refusing` | address-in-detail | 0 | - |") == 1
    assert "| `provider-refusing` | generic-500 |" in page
