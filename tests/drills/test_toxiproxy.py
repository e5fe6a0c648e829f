"""The same drill through a real Toxiproxy: it holds, and nothing of it stays there, also when the conductor is killed."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from chaos.links import Toxic, connect_toxiproxy
from chaos.links.guard import remaining_proxies
from chaos.model.link import Link
from tests.drills.running import run_drill, start_drill
from tests.links.servers import real_toxiproxy
from tests.real_toxiproxy import MISSING, find_real_server

pytestmark = [pytest.mark.drill, pytest.mark.xdist_group("drill"), pytest.mark.timeout(180)]

OTHERS = Link(name="somebody>else")
THEIRS = Toxic(type="latency", name="theirs", attributes={"latency": 5})


def test_smoke_holds_through_a_real_toxiproxy(tmp_path: Path) -> None:
    """Started for the run from its path: every fault is proven to have acted."""
    binary = find_real_server()
    if binary is None:
        pytest.skip(MISSING)
    result = run_drill("smoke", "--proxy", str(binary), out=tmp_path)
    assert result.code == 0, result.explain()
    assert set(result.cells("injected").values()) == {"HOLDS"}


async def test_a_killed_conductor_leaves_no_toxic_of_ours(tmp_path: Path) -> None:
    """Ten seconds after SIGKILL in the middle of the faults the server has only what somebody else put there."""
    async with real_toxiproxy() as server, connect_toxiproxy(server) as others:
        await others.create(OTHERS, upstream="127.0.0.1:9")
        await others.inject(OTHERS.name, THEIRS)
        with start_drill("smoke", "--proxy", server, out=tmp_path) as drill:
            await anyio.to_thread.run_sync(lambda: drill.wait_for("FaultStarted"))
            assert drill.folder is not None
            run_id = drill.folder.name
            names = [f"{run_id}.{link}" for link in ("gateway>provider", "agent>nats", "rag>postgres", "driver>api")]
            assert remaining_proxies(server, names) == tuple(names)
            drill.process.send_signal(signal.SIGKILL)
            with anyio.fail_after(10):
                while remaining_proxies(server, names):
                    await anyio.sleep(0.05)
        assert [(one.link, one.fault) for one in await others.read_back()] == [(OTHERS.name, "theirs")]


def test_what_it_cannot_do_is_refused_at_plan_time(tmp_path: Path) -> None:
    """By fault and link, with what would do; nothing is started and no folder is made."""
    binary = find_real_server()
    if binary is None:
        pytest.skip(MISSING)
    told = subprocess.run(
        [sys.executable, "-m", "chaos", "run", "provider-hanging", "--proxy", str(binary), "--out", str(tmp_path / "out")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert told.returncode == 2
    assert "provider-hanging on gateway>provider: the toxic 'hang'" in told.stderr
    assert "leave --proxy out" in told.stderr
    assert not (tmp_path / "out").exists()
