"""What pages show, put into place: whole files, additions and diffs, in a copy of the tree."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

__all__ = ["ROOT", "Block", "apply_diff", "blocks", "copy_tree", "put", "run_tests", "script"]

ROOT = Path(__file__).parents[1]
_COPIED = ("chaos", "tests", "docs", "scenarios", "proxies", "conftest.py", "pyproject.toml", "README.md")
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_PATH = re.compile(r"`((?:chaos|tests|docs|scenarios)/[\w./-]+\.(?:py|md|yaml))`")


class Block(NamedTuple):
    """A fenced block, and the file named last before it (empty if none is)."""

    language: str
    text: str
    path: str


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page in order."""
    text = page.read_text(encoding="utf-8")
    found = []
    for match in _FENCE.finditer(text):
        named = _PATH.findall(_FENCE.sub("", text[: match.start()]))
        found.append(Block(match[1], match[2], named[-1] if named else ""))
    return found


def apply_diff(text: str, diff: str) -> str:
    """The text with one hunk (no line numbers) applied where its old lines stand; they stand there once."""
    lines = diff.splitlines(keepends=True)
    old = "".join(line[1:] for line in lines if line[0] in " -")
    new = "".join(line[1:] for line in lines if line[0] in " +")
    assert text.count(old) == 1, f"{text.count(old)} places for:\n{old}"
    return text.replace(old, new)


def copy_tree(folder: Path) -> Path:
    """A copy of what a checkout holds, without what it has made."""
    for name in _COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", ".hypothesis"))
        else:
            shutil.copy(ROOT / name, folder / name)
    return folder


def put(page: Path, tree: Path) -> list[Path]:
    """Do what the page says: a Python block is a new file, or goes to the end of one; a diff is applied. The files that changed."""
    changed = []
    for one in blocks(page):
        if one.language not in {"python", "diff"}:
            continue
        path = tree / one.path
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        if one.language == "diff":
            after = apply_diff(before, one.text)
        else:
            after = f"{before}\n\n{one.text}" if before else one.text
        path.write_text(after, encoding="utf-8")
        changed.append(path)
    return changed


def run_tests(tree: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """Run pytest on a copy, as somebody would run it there."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--basetemp={tree / 'base'}", *args],
        cwd=tree,
        env=environment,
        capture_output=True,
        text=True,
        timeout=220,
        check=False,
    )


def script(name: str) -> ModuleType:
    """A script in docs/ as a module; it is not part of a package."""
    spec = importlib.util.spec_from_file_location(name, ROOT / f"docs/{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
