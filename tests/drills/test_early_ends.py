"""A run that is over before its time: the load ends before the stores are read, or what it leaves meanwhile would look lost."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from chaos.journal import read_evidence
from chaos.model.event import PhaseName
from tests.drills.running import Result, start_drill

pytestmark = [pytest.mark.drill, pytest.mark.xdist_group("drill"), pytest.mark.timeout(180)]

TABLE = Path(__file__).parent / "data/table.yaml"


def assert_the_load_ended_first(result: Result) -> None:
    """Nothing was started once the stores were looked at, everything in flight had ended, and nothing is called lost."""
    evidence = read_evidence(result.folder)
    audit = evidence.phase(PhaseName.AUDIT)
    assert audit is not None
    assert max(one.end_ns for one in evidence.operations) < audit.start_ns
    assert evidence.phase(PhaseName.QUIESCENCE) is not None
    assert not result.violated(), result.explain()


@pytest.mark.parametrize("phase", ["faults", "recovery"])
def test_an_interrupted_load_ends_before_the_stores_are_read(phase: str, tmp_path: Path) -> None:
    """Amid the fault, and while probes write as well."""
    with start_drill(str(TABLE), out=tmp_path) as drill:
        drill.wait_for("PhaseStarted", phase=phase)
        drill.process.send_signal(signal.SIGINT)
        result = drill.finish()
    assert result.code == 130, result.explain()
    assert_the_load_ended_first(result)


def test_a_lost_part_ends_the_load_as_well(tmp_path: Path) -> None:
    """The proxy is killed: the run has failed, and what the driver had written is there."""
    with start_drill(str(TABLE), out=tmp_path) as drill:
        proxy = drill.pid_of("proxy")
        drill.wait_for("PhaseStarted", phase="faults")
        os.kill(proxy, signal.SIGKILL)
        result = drill.finish()
    assert_the_load_ended_first(result)
