"""Removing a directory tree for good, without following links. Standard library only: the supervisor imports this."""

# pathlib is slow to import, and the supervisor has to start in tens of milliseconds.
# ruff: noqa: PTH114, PTH118
from __future__ import annotations

import contextlib
import os

__all__ = ["remove_tree"]


def remove_tree(root: str) -> bool:
    """Remove `root` and everything in it; True once nothing is left. Links are removed, never followed."""
    for folder, folders, files in os.walk(root, topdown=False, followlinks=False):
        for name in files:
            _quietly(os.unlink, os.path.join(folder, name))
        for name in folders:
            path = os.path.join(folder, name)
            _quietly(os.unlink if os.path.islink(path) else os.rmdir, path)
    _quietly(os.rmdir, root)
    return not os.path.lexists(root)


def _quietly(act: object, path: str) -> None:
    # What cannot be removed shows in the answer of remove_tree; one stubborn file must not spare the others.
    with contextlib.suppress(OSError):
        act(path)  # type: ignore[operator]
