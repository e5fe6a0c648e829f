"""Without evidence there is no HOLDS, and a driver that was stopped blames nobody."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from tests.drills.running import Running, assert_nothing_left, run_drill, start_drill

pytestmark = [pytest.mark.drill, pytest.mark.xdist_group("drill"), pytest.mark.timeout(180)]
DATA = Path(__file__).parent / "data"


def test_fault_without_traffic_is_unknown(tmp_path: Path) -> None:
    """A fault on a link that carries nothing gives UNKNOWN and exit 3."""
    result = run_drill(str(DATA / "no-traffic.yaml"), out=tmp_path)
    assert result.code == 3, result.explain()
    assert result.verdict["verdict"] == "UNKNOWN"
    assert set(result.cells("injected").values()) == {"UNKNOWN"}, result.explain()
    assert result.violated() == set()


def test_who_goes_around_the_proxy_leaves_its_faults_unknown(tmp_path: Path) -> None:
    """The link map lacks the agent's edge to Postgres, so the agent is wired straight to it: a fault on Postgres proves nothing."""
    result = run_drill(str(DATA / "around.yaml"), out=tmp_path)
    assert result.code == 3, result.explain()
    (cell,) = (one for one in result.verdict["cells"] if one["id"] == "injected/slow-postgres/all")
    assert cell["verdict"] == "UNKNOWN", result.explain()
    assert "agent reaches postgres around its proxy" in cell["reason"]
    assert "agent reaches postgres around its proxy" in " ".join(result.screen.split())
    assert any("agent reaches postgres" in note for note in result.verdict["notes"])
    assert result.cells("injected")["injected/slow-provider/all"] == "HOLDS", result.explain()
    assert result.violated() == set(), result.explain()


def test_a_stopped_driver_blames_nobody(tmp_path: Path) -> None:
    """The driver stands still for 300 ms during the faults: the gap is recorded, and no timing oracle is violated."""
    with start_drill("smoke", out=tmp_path) as drill:
        driver = drill.pid_of("driver")
        drill.wait_for("FaultStarted")
        os.kill(driver, signal.SIGSTOP)
        time.sleep(0.3)  # the length of the stop is what is tested, not a wait for something
        os.kill(driver, signal.SIGCONT)
        result = drill.finish()
    lags = [one for one in Running(drill.process, tmp_path).events() if one["event"] == "LoopLagged"]
    assert max(one["end_ns"] - one["start_ns"] for one in lags) >= 200_000_000
    assert result.violated() == set(), result.explain()
    assert_nothing_left(result.folder)
