"""A new oracle is one file and a line: the example of the page on writing one, put into a copy of the tree and run there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.documents import ROOT, blocks, copy_tree, put, run_tests

PAGE = ROOT / "docs/writing-an-oracle.md"


@pytest.mark.timeout(240)
def test_the_page_as_it_stands(tmp_path: Path) -> None:
    """Its tests pass (all three verdicts), and so do the laws that take every oracle of the registry, and the style."""
    tree = copy_tree(tmp_path)
    changed = put(PAGE, tree)
    done = run_tests(tree, *(f"tests/oracles/test_{name}.py" for name in ("no_internals", "judge", "documentation")))
    assert done.returncode == 0, done.stdout
    code = sorted({str(path) for path in changed if path.suffix == ".py"})
    for command in (["check", "-q"], ["format", "-q", "--check"]):
        lint = subprocess.run(
            [sys.executable, "-m", "ruff", *command, *code], cwd=tree, capture_output=True, text=True, check=False
        )
        assert lint.returncode == 0, lint.stdout


def test_the_oracle_is_small() -> None:
    """It is read on one screen and a half."""
    assert len(blocks(PAGE)[0].text.splitlines()) < 75
