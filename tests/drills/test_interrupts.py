"""An interrupted drill heals, judges and reports; a killed one leaves nothing but its record."""

from __future__ import annotations

import os
import random
import signal
import socket
import time
from pathlib import Path

import pytest

from chaos.journal import read_evidence
from tests.drills.running import Running, assert_nothing_left, processes_of, start_drill

pytestmark = [pytest.mark.drill, pytest.mark.xdist_group("drill"), pytest.mark.timeout(240)]


@pytest.mark.parametrize(("signo", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 143)])
def test_interrupt_heals_judges_and_reports(signo: signal.Signals, code: int, tmp_path: Path) -> None:
    """A signal amid the faults, and more while it heals and judges: no fault remains by read-back, the verdict is written, the exit code
    says so.
    """
    with start_drill("smoke", out=tmp_path) as drill:
        drill.wait_for("FaultStarted")
        assert drill.folder is not None
        assert len(processes_of(drill.folder)) >= 9  # what must be gone afterwards is found while it is there
        drill.process.send_signal(signo)
        for event in ("Interrupted", "HealChecked", "RunEnded"):
            drill.wait_for(event)
            drill.process.send_signal(signo)
        result = drill.finish()
    assert result.code == code, result.explain()
    events = Running(drill.process, tmp_path).events()
    healed = [one for one in events if one["event"] == "HealChecked"]
    assert healed
    assert all(not one.get("remaining") and not one.get("error") for one in healed)
    assert events[-1]["event"] == "RunEnded"
    assert events[-1]["how"] == "interrupted"
    assert result.cells("healed") == {"healed/none/all": "HOLDS"}, result.explain()
    # What the stores hold is read back all the same, in a hurry.
    assert [one.get("error") for one in events if one["event"] == "EffectsRead"] == [None] * 5
    assert_nothing_left(result.folder)


def test_a_killed_proxy_ends_the_run_early(tmp_path: Path) -> None:
    """What the run stands on is gone: it ends at once, unknown and not green, no fault can remain, and nothing is left."""
    with start_drill("smoke", out=tmp_path) as drill:
        proxy = drill.pid_of("proxy")
        drill.wait_for("FaultStarted")
        os.kill(proxy, signal.SIGKILL)
        result = drill.finish()
    assert result.code == 3, result.explain()
    events = Running(drill.process, tmp_path).events()
    assert (events[-1]["how"], events[-1]["error"].split()[0]) == ("failed", "proxy")
    assert "proxy-gone" in {one["how"] for one in events if one["event"] == "FaultEnded"}
    assert_nothing_left(result.folder)


def test_interrupt_while_coming_up_leaves_nothing(tmp_path: Path) -> None:
    """A signal before the system is up ends the run at once, with a record that says so."""
    with start_drill("smoke", out=tmp_path) as drill:
        drill.wait_for("PhaseStarted", phase="bring-up")
        drill.process.send_signal(signal.SIGINT)
        result = drill.finish()
    assert result.code == 130, result.screen
    assert_nothing_left(result.folder)


def kill_and_check(out: Path, delay_s: float) -> None:
    """SIGKILL the conductor `delay_s` after its run folder appeared; prove that nothing but a readable record is left."""
    with start_drill("smoke", out=out) as drill:
        drill.wait_for("RunStarted")
        time.sleep(delay_s)  # a random moment is what is tested
        drill.process.kill()
        drill.process.wait()
        folder = drill.folder
        assert folder is not None
        events = drill.events()
        assert_nothing_left(folder)
    for listener in (one["listen"] for one in events if one["event"] == "LinkUp"):
        host, _, port = listener.rpartition(":")
        with socket.socket() as probe:
            assert probe.connect_ex((host, int(port))) != 0, f"{listener} still listens"
    evidence = read_evidence(folder)
    assert evidence.run_id == folder.name
    if not any(one["event"] == "RunEnded" for one in events):
        assert evidence.end_how == "cut off"


@pytest.mark.parametrize("delay_s", [3.0, 9.0])
def test_sigkill_leaves_nothing(delay_s: float, tmp_path: Path) -> None:
    """Killed while coming up and amid the load: no process, port, socket or shared memory is left within ten seconds."""
    kill_and_check(tmp_path, delay_s)


@pytest.mark.repeat
@pytest.mark.parametrize("attempt", range(10))
def test_sigkill_at_random_moments_leaves_nothing(attempt: int, tmp_path: Path) -> None:
    """Ten random moments between the first record and the end."""
    kill_and_check(tmp_path, random.Random().uniform(0, 18))
