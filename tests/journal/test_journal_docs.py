"""What docs/journal.md says is so."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

from chaos.model.event import AnyEvent, Progress
from tests.journal.build import record_sample

_TEXT = (Path(__file__).parents[2] / "docs" / "journal.md").read_text()


def test_every_stored_event_is_documented() -> None:
    """Each kind of event is named, but the one that is never stored."""
    named = set(re.findall(r"`([A-Z][A-Za-z]+)`", _TEXT))
    assert {one.__name__ for one in get_args(AnyEvent)} - {Progress.__name__} <= named


def test_the_example_runs(tmp_path: Path) -> None:
    """The shown code reads a run."""
    (example,) = re.findall(r"```python\n(.*?)```", _TEXT, re.DOTALL)
    code, replaced = re.subn(r'Path\(".*?"\)', f"Path({str(record_sample(tmp_path))!r})", example)
    assert replaced == 1
    scope: dict[str, object] = {}
    exec(compile(code, "docs/journal.md", "exec"), scope)
    assert scope["slowest"] is not None
