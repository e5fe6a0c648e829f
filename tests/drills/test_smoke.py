"""The shortest drill holds on the correct backend, and its record can be judged again."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from chaos.journal import read_evidence
from tests.drills.running import run_drill

pytestmark = [pytest.mark.drill, pytest.mark.xdist_group("drill"), pytest.mark.timeout(180)]


def test_smoke_holds_and_can_be_judged_again(tmp_path: Path) -> None:
    """`run smoke` exits 0, writes every report, leaves nothing; `report` comes to the same verdict from the journal alone."""
    result = run_drill("smoke", out=tmp_path)
    assert result.code == 0, result.explain()
    assert {path.name for path in result.folder.iterdir()} >= {
        "journal.jsonl", "operations.msgpack", "wire.msgpack", "effects.msgpack", "verdict.json", "junit.xml", "summary.md", "logs",
    }  # fmt: skip
    assert set(result.cells("injected").values()) == {"HOLDS"}, result.explain()
    checks = read_evidence(result.folder).bypasses
    assert [(one.callee, one.around, one.error) for one in checks] == 2 * [("nats", (), None), ("postgres", (), None)]
    assert all(one.through >= 3 for one in checks)
    assert set(result.cells("exactly-once").values()) == {"HOLDS"}, result.explain()
    for name in ("verdict.json", "junit.xml", "summary.md"):
        (result.folder / name).unlink()
    again = subprocess.run(
        [sys.executable, "-m", "chaos", "report", str(result.folder), "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["cells"] == result.verdict["cells"]
    assert (result.folder / "junit.xml").exists()


@pytest.mark.repeat
def test_smoke_holds_three_times_beside_a_busy_core(tmp_path: Path) -> None:
    """With one core kept busy by something else, `smoke` exits 0 three times in a row."""
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        for attempt in range(3):
            result = run_drill("smoke", out=tmp_path / str(attempt))
            assert result.code == 0, result.explain()
    finally:
        busy.kill()
        busy.wait()
