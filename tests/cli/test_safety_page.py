"""docs/safety.md: its numbers are those of the code, and its examples are read as they stand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from chaos.cli import main
from chaos.engine.proxies import HARD_END_SLACK_MS, LEASE_TTL_MS
from chaos.links.guard import TTL_S
from chaos.model.duration import format_ms
from chaos.model.exit_code import ExitCode
from chaos.model.reading.limits import MAX_AT_ONCE, MAX_FAULT_MS, MAX_RATE_PER_S, MAX_TIMELINE_MS
from chaos.model.settings import Settings
from tests.documents import ROOT, blocks

PAGE = ROOT / "docs/safety.md"
TEXT = PAGE.read_text(encoding="utf-8")
SCENARIO = """
name: drill
workloads:
  - {{kind: rag, name: http, rate: 12/s}}
timeline:
  faults:
    - {{fault: refuse, on: gateway>provider, for: 4s}}
{abort}
{hosts}
"""


def row(name: str) -> str:
    """The row of the page's tables that begins so."""
    return next(line for line in TEXT.splitlines() if line.startswith(f"| {name}"))


@pytest.mark.parametrize(
    ("name", "ms"),
    [
        ("lease", LEASE_TTL_MS),
        ("hard end", HARD_END_SLACK_MS),
        ("guard", 1000 * TTL_S),
        ("heal", Settings().heal_deadline_ms),
    ],
)
def test_times_are_those_of_the_code(name: str, ms: float) -> None:
    """Of leases, hard ends, the guard and healing."""
    assert format_ms(ms).replace("s", " s") in row(name)


def test_limits_are_those_of_the_code() -> None:
    """What a scenario may ask for at most."""
    told = re.search(
        r"timeline of (\d+) minutes, (\d+) faults at once, (\d+) hours of fault.*?(\d+) operations/s", TEXT
    )
    assert told is not None
    limits = (MAX_TIMELINE_MS / 60_000, MAX_AT_ONCE, MAX_FAULT_MS / 3_600_000, MAX_RATE_PER_S)
    assert tuple(map(float, told.groups())) == limits


def test_exit_codes_are_those_of_the_code() -> None:
    """Every number in the last column of the ways out is a code."""
    ways = TEXT.partition("## Ways out")[2].partition("\n## ")[0]
    rows = [line.rpartition("|")[0].rpartition("|")[2] for line in ways.splitlines() if line.startswith("| ")]
    told = {int(number) for cell in rows for number in re.findall(r"\d+", cell)}
    assert told == {130, 143, 4, 3, 1}
    assert told <= {code.value for code in ExitCode}


def test_the_examples_are_valid(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Abort conditions and allowed hosts, in a scenario around them."""
    abort, hosts = (block.text for block in blocks(PAGE) if block.language == "yaml")
    conditions = abort.removeprefix("timeline:\n")
    (tmp_path / "drill.yaml").write_text(SCENARIO.format(abort=conditions, hosts=hosts))
    assert main(["validate", str(tmp_path / "drill.yaml")]) == 0, capsys.readouterr().err
