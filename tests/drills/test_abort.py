"""An abort condition that is met: healed at once, judged on what there is, exit code 4."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaos.journal import read_evidence
from tests.drills.running import run_drill

pytestmark = [pytest.mark.drill, pytest.mark.xdist_group("drill"), pytest.mark.timeout(180)]

SCENARIO = Path(__file__).parent / "data/abort.yaml"


def test_too_many_errors_end_the_drill(tmp_path: Path) -> None:
    """A fault of a minute is over in seconds, proven by reading back; the correct backend is not blamed for the end."""
    result = run_drill(str(SCENARIO), out=tmp_path)
    assert result.code == 4, result.explain()
    evidence = read_evidence(result.folder)
    assert evidence.end_how == "aborted"
    assert evidence.aborted is not None
    assert evidence.aborted.startswith("error_rate was ")
    [fault] = evidence.faults
    assert fault.onset_ns is not None
    assert fault.heal_ns is not None
    assert fault.heal_ns - fault.onset_ns < 30e9
    assert [(one.remaining, one.error) for one in evidence.heals] == [((), None)]
    assert not result.violated(), result.explain()
    assert set(result.cells("healed").values()) == {"HOLDS"}
    assert "stopped by an abort condition" in result.screen
