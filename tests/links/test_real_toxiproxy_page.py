"""docs/real-toxiproxy.md says which faults a real server gets, and which are refused: every kind stands in one of its tables."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from chaos.cli import main
from chaos.links.toxiproxy_limits import why_not_fault
from chaos.model.fault import FAULT_KINDS, FaultSpec
from tests.documents import ROOT, blocks

PAGE = ROOT / "docs/real-toxiproxy.md"
TEXT = PAGE.read_text(encoding="utf-8")
_NEEDED = {"slicer": {"average_size": 100}}


def possible(kind: str) -> bool:
    """Whether a real server gets a fault of this kind, on whole connections or streams."""
    attributes = _NEEDED.get(kind, {})
    return (
        why_not_fault(FaultSpec(name="f", kind=kind, links=("a>b",), at_ms=0, for_ms=1, attributes=attributes)) is None
    )


def kinds_in(heading: str) -> set[str]:
    """Kinds of faults that begin a row of the table with this heading."""
    table = TEXT.partition(f"| {heading} |")[2].partition("\n\n")[0]
    firsts = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    return {name for cell in firsts if " with " not in cell for name in re.findall(r"`(\w+)`", cell)} & set(FAULT_KINDS)


def test_what_it_can_do_and_what_is_refused() -> None:
    """The first table has what is possible, the second all others."""
    assert kinds_in("fault") == {kind for kind in FAULT_KINDS if possible(kind)}
    assert kinds_in("refused") == {kind for kind in FAULT_KINDS if not possible(kind)}


def test_the_refusal_is_told_in_these_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A program that is there stands for the server: the drill is refused before it would be started."""
    server = tmp_path / "toxiproxy-server"
    server.write_text("#!/bin/sh\nexit 1\n")
    server.chmod(0o755)
    assert main(["run", "provider-hanging", "--proxy", str(server), "--out", str(tmp_path / "out")]) == 2
    (told,) = (block.text for block in blocks(PAGE) if block.text.startswith("a Toxiproxy server"))
    assert told.strip() in capsys.readouterr().err


def test_the_commands_are_read() -> None:
    """Both forms of --proxy are arguments of run."""
    (shown,) = (block.text for block in blocks(PAGE) if block.language == "bash")
    for line in shown.splitlines():
        words = shlex.split(line, comments=True)
        assert words[:3] == ["chaos-drill", "run", "smoke"]
        assert words[3] == "--proxy"
