"""Runs on a proxy that outlives them: links and faults of a run go with it, also when it is killed; those of others stay."""

from __future__ import annotations

import signal
from pathlib import Path

import anyio
import pytest

from chaos.journal import read_evidence
from chaos.links import Toxic, connect_embedded, embedded_proxy
from chaos.model.link import Link
from tests.drills.running import run_drill, start_drill

pytestmark = [pytest.mark.drill, pytest.mark.xdist_group("drill"), pytest.mark.timeout(180)]

OTHERS = Link(name="somebody>else")


async def test_a_run_leaves_the_proxy_as_it_was(tmp_path: Path) -> None:
    """The drill holds; afterwards the proxy has the link and the toxic of somebody else, and nothing more."""
    async with embedded_proxy() as url, connect_embedded(url) as control:
        await control.create(OTHERS, upstream="127.0.0.1:9")
        await control.inject(OTHERS.name, Toxic(type="latency", name="theirs", attributes={"latency": 5}))
        result = await anyio.to_thread.run_sync(lambda: run_drill("smoke", "--proxy", url, out=tmp_path))
        assert result.code == 0, result.explain()
        [status] = await control.status()
        assert (status.name, [one.name for one in status.toxics]) == (OTHERS.name, ["theirs"])
        evidence = read_evidence(result.folder)
        assert evidence.plan.proxy == url
        assert not [one for one in evidence.wire if one.link == OTHERS.name]


async def test_the_faults_of_a_killed_run_end_by_themselves(tmp_path: Path) -> None:
    """SIGKILL in the middle of the faults: within its lease's time to live nothing of the run acts any more."""
    async with embedded_proxy() as url, connect_embedded(url) as control:
        await control.create(OTHERS, upstream="127.0.0.1:9")
        await control.inject(OTHERS.name, Toxic(type="latency", name="theirs", attributes={"latency": 5}))
        with start_drill("smoke", "--proxy", url, out=tmp_path) as drill:
            await anyio.to_thread.run_sync(lambda: drill.wait_for("FaultStarted"))
            drill.process.send_signal(signal.SIGKILL)
            with anyio.fail_after(15):
                async for event in control.events():
                    if event.event == "lease.ended":
                        assert event.members["reason"] == "lease"
                        break
        left = [one.name for status in await control.status() for one in status.toxics]
        assert left == ["theirs"]
