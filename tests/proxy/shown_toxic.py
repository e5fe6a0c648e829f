"""A page's example of a toxic, put into the folder for one test."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from chaos.proxy import toxics
from tests.documents import ROOT, blocks

__all__ = ["shown_toxic"]


@contextmanager
def shown_toxic(page: str, name: str, folder: Path, *, below_lines: int) -> Iterator[str]:
    """The only Python that the page shows, which has fewer lines than that, as a file of this name; the toxic's name."""
    (example,) = (block.text for block in blocks(ROOT / "docs" / page) if block.language == "python")
    assert len(example.splitlines()) < below_lines
    (folder / f"{name}.py").write_text(example, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(toxics, "__path__", [*toxics.__path__, str(folder)])
        for known, kind in toxics.load_types().items():
            patch.setitem(toxics.TOXIC_TYPES, known, kind)
        try:
            yield name
        finally:
            sys.modules.pop(f"chaos.proxy.toxics.{name}")
