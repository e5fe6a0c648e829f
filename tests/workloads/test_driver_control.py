"""Conductor and driver survive each other: whoever dies, nothing hangs and nothing is made up."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from chaos.errors import NotReadyError
from chaos.model.event import PhaseName
from chaos.model.operation import AnswerKind
from chaos.model.workload import OperationKind
from chaos.workloads import Endpoints, open_control
from tests.workloads.rig import HANG_S, driver_plan, kind_plan, running_driver
from tests.workloads.stand_in import Replied, StandIn, problem, stand_in


def unused_url() -> str:
    """A loopback URL where nobody listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{one.getsockname()[1]}"


async def test_a_driver_that_never_connects_is_not_ready(tmp_path: Path) -> None:
    """Set-up gives up at its deadline and says so; the socket is gone afterwards."""
    path = tmp_path / "s"
    async with open_control(path) as control:
        with pytest.raises(NotReadyError, match=r"did not connect within 0\.1 s"):
            await control.setup(driver_plan(endpoints=Endpoints()), within_s=0.1)
        with pytest.raises(NotReadyError, match="not connected"):
            await control.stop_load()
        await control.quit()
    assert not path.exists()


async def test_what_the_block_raises_comes_out_as_it_is(tmp_path: Path) -> None:
    """No exception group stands between an error in the block and its handler."""
    with pytest.raises(NotReadyError, match="mine"):
        async with open_control(tmp_path / "s"):
            raise NotReadyError("mine")


async def test_a_system_that_is_not_there_is_named() -> None:
    """Set-up fails with the door, its URL and what happened there, and the driver can be told to quit."""
    url = unused_url()
    async with running_driver() as rig:
        with pytest.raises(NotReadyError, match=f"api at {url}/healthz: ConnectError"):
            await rig.control.setup(driver_plan(kind_plan("rag"), endpoints=Endpoints(api=url)), within_s=2)
        await rig.control.quit()
    assert rig.process.returncode == 0


async def test_documents_that_are_refused_are_told() -> None:
    """Set-up names the problem that kept the seed documents from being stored."""
    async with stand_in() as backend, running_driver() as rig:
        plan = driver_plan(kind_plan("rag"), endpoints=Endpoints(api=backend.url))
        refused = problem(503, "dependency_unavailable", "postgres", detail="no pool")
        backend.handler = lambda asked: refused if asked.path == "/v1/documents" else Replied()
        with pytest.raises(NotReadyError, match=r"seed document seed-\S+: 503 dependency_unavailable no pool"):
            await rig.control.setup(plan, within_s=3)


async def test_an_unknown_operation_is_refused_at_set_up() -> None:
    """The reason names workload, kind and operation, and the known ones."""
    workload = kind_plan("rag", "ask")
    other = type(workload)(spec=workload.spec, operations=(OperationKind(name="summon", route=("driver>api",)),))
    async with running_driver() as rig:
        with pytest.raises(NotReadyError, match="kind rag has no operation summon; known: ask, ingest"):
            await rig.control.setup(driver_plan(other, endpoints=Endpoints(api=unused_url())), within_s=10)


async def test_nats_that_is_not_there_is_told_without_its_password() -> None:
    """The reason names NATS and not the URL's credentials; neither does the log."""
    url = unused_url().replace("http://", "nats://user:pass-word@")
    async with running_driver() as rig:
        with pytest.raises(NotReadyError, match="NATS could not be reached") as caught:
            await rig.control.setup(driver_plan(kind_plan("gateway"), endpoints=Endpoints(nats=url)), within_s=2)
        assert "pass-word" not in str(caught.value)
        assert "pass-word" not in rig.log.read_text()


async def test_a_killed_driver_ends_the_stream_and_every_wait() -> None:
    """After SIGKILL the messages end with a failure, a pending drain and every later command are NotReadyError, quit is silent."""
    async with stand_in() as backend, running_driver() as rig:
        await rig.control.setup(driver_plan(kind_plan("gateway", "chat"), endpoints=backend.endpoints), within_s=20)
        backend.gate.clear()
        await rig.control.start(time.monotonic_ns())
        await backend.until_asked()
        async with anyio.create_task_group() as group:
            group.start_soon(kill_when_asked, backend, rig.process)
            with pytest.raises(NotReadyError, match="gone"):
                await rig.control.drain(20)
        await rig.seen.until(lambda seen: seen.ended)
        assert [one.reason for one in rig.seen.failures] == [
            "the load driver ended before it was told to; its log says why"
        ]
        with pytest.raises(NotReadyError, match="gone"):
            await rig.control.phase(PhaseName.HEAL)
        await rig.control.quit()


async def kill_when_asked(backend: StandIn, process: subprocess.Popen[bytes]) -> None:
    """SIGKILL once the system was asked something."""
    await backend.until_asked()
    process.kill()


async def test_a_driver_killed_in_set_up_is_not_ready() -> None:
    """Set-up does not wait for its deadline when the driver is gone."""
    async with stand_in() as backend, running_driver() as rig:
        backend.gate.clear()
        async with anyio.create_task_group() as group:
            group.start_soon(kill_when_asked, backend, rig.process)
            with pytest.raises(NotReadyError, match="gone"):
                await rig.control.setup(
                    driver_plan(kind_plan("rag"), endpoints=Endpoints(api=backend.url)), within_s=20
                )


async def test_the_driver_ends_when_its_conductor_does() -> None:
    """A closed control socket ends the process by itself, in the middle of the load."""
    async with stand_in() as backend:
        async with running_driver() as rig:
            await rig.control.setup(driver_plan(kind_plan("gateway", "chat"), endpoints=backend.endpoints), within_s=20)
            await rig.control.start(time.monotonic_ns())
            await rig.seen.until(lambda seen: bool(seen.operations))
            assert rig.control._stream is not None
            await rig.control._stream.aclose()
            code = await anyio.to_thread.run_sync(lambda: rig.process.wait(HANG_S))
        assert code == 0


async def test_sigterm_sends_what_is_known_and_ends() -> None:
    """On SIGTERM the driver hands over its records and ends with 0; what was in flight is counted as lost."""
    async with stand_in() as backend, running_driver() as rig:
        plan = driver_plan(kind_plan("gateway", "chat", bound=3), endpoints=backend.endpoints)
        await rig.control.setup(plan, within_s=20)
        backend.gate.clear()
        await rig.control.start(time.monotonic_ns())
        await rig.seen.until(lambda seen: bool(seen.counts))
        rig.process.terminate()
        await rig.seen.until(lambda seen: seen.ended)
        assert await anyio.to_thread.run_sync(lambda: rig.process.wait(HANG_S)) == 0
    assert [one.count for one in rig.seen.lost] == [3]


async def test_drain_abandons_what_still_waits() -> None:
    """Operations that outlast the drain leave no record and are counted as lost evidence."""
    async with stand_in() as backend, running_driver() as rig:
        plan = driver_plan(kind_plan("gateway", "chat", bound=2, rate=50), endpoints=backend.endpoints)
        await rig.control.setup(plan, within_s=20)
        backend.gate.clear()
        await rig.control.start(time.monotonic_ns())
        await rig.seen.until(lambda seen: any(one.dropped for one in seen.counts.values()))
        await rig.control.stop_load()
        assert await rig.control.drain(0.05) == 2
        await rig.control.quit()
    assert rig.seen.operations == []
    assert [(one.what, one.count) for one in rig.seen.lost] == [("operations still in flight when the load ended", 2)]


async def test_a_second_start_ends_the_driver_with_its_reason() -> None:
    """The same op ids twice would be a lie: the driver refuses, says why, and ends with 1."""
    async with stand_in() as backend, running_driver() as rig:
        await rig.control.setup(driver_plan(kind_plan("gateway", "chat"), endpoints=backend.endpoints), within_s=20)
        await rig.control.start(time.monotonic_ns())
        await rig.control.start(time.monotonic_ns())
        await rig.seen.until(lambda seen: seen.ended)
        assert await anyio.to_thread.run_sync(lambda: rig.process.wait(HANG_S)) == 1
    assert "can be started once" in rig.seen.failures[0].reason


async def test_probes_fail_while_the_system_does_and_pass_when_it_is_back() -> None:
    """A round of probes ends at its time without success; a later one passes with all in a row, and each probe is recorded."""
    async with stand_in() as backend, running_driver() as rig:
        await rig.control.setup(driver_plan(kind_plan("gateway", "chat"), endpoints=backend.endpoints), within_s=20)
        well, backend.handler = backend.handler, lambda asked: problem(503, "dependency_unavailable", "provider")
        await rig.control.probe(3, 1_000, {"gateway": 10_000})
        await rig.seen.until(lambda seen: bool(seen.probes))
        failed = rig.seen.probes.pop("gateway")
        backend.handler = well
        await rig.control.probe(3, 20_000, {"gateway": 10_000})
        await rig.seen.until(lambda seen: bool(seen.probes))
        passed = rig.seen.probes["gateway"]
        await rig.control.drain(5)
        await rig.control.quit()
    assert (failed.passed, failed.in_a_row) == (False, 0)
    assert failed.sent >= 1
    assert (passed.passed, passed.in_a_row, passed.sent) == (True, 3, 3)
    assert all(one.probe for one in rig.seen.operations)
    assert len({one.op_id for one in rig.seen.operations}) == len(rig.seen.operations) == failed.sent + passed.sent


async def test_a_slow_probe_does_not_count() -> None:
    """Right but slower than the limit is not recovered; the limit of an operation goes before that of its workload."""
    async with stand_in() as backend, running_driver() as rig:
        await rig.control.setup(driver_plan(kind_plan("gateway", "chat"), endpoints=backend.endpoints), within_s=20)
        await rig.control.probe(2, 600, {"gateway": 10_000, "gateway.chat": 0.001})
        await rig.seen.until(lambda seen: bool(seen.probes))
        await rig.control.quit()
    assert not rig.seen.probes["gateway"].passed
    assert all(one.ok for one in rig.seen.operations)


async def test_a_probe_without_an_answer_is_recorded_after_its_own_wait() -> None:
    """The probes' time ends before the hanging probe's wait does; its record comes later and says `none`."""
    async with stand_in() as backend, running_driver() as rig:
        plan = driver_plan(kind_plan("gateway", "chat", deadline_ms=100), endpoints=backend.endpoints)
        await rig.control.setup(plan, within_s=20)
        backend.gate.clear()
        await rig.control.probe(2, 200, {})
        await rig.seen.until(lambda seen: bool(seen.probes))
        assert rig.seen.operations == []
        assert await rig.control.drain(10) == 0
        await rig.control.quit()
    assert [one.answer.kind for one in rig.seen.operations] == [AnswerKind.NONE]
    assert not rig.seen.probes["gateway"].passed


async def test_the_end_of_the_load_ends_probes_too() -> None:
    """After a drain nothing starts any more; probes that were cut short prove nothing, and say nothing."""
    async with stand_in() as backend, running_driver() as rig:
        await rig.control.setup(driver_plan(kind_plan("gateway", "chat"), endpoints=backend.endpoints), within_s=20)
        backend.handler = lambda asked: problem(503, "dependency_unavailable", "provider")
        await rig.control.probe(3, 60_000, {})
        await rig.seen.until(lambda seen: len(seen.operations) >= 2)
        await rig.control.stop_load()
        assert await rig.control.drain(10) == 0
        asked, told = len(backend.asked), dict(rig.seen.probes)
        await rig.control.probe(3, 1_000, {})  # others, to have a time in which those before would go on
        await rig.seen.until(lambda seen: bool(seen.probes))
        await rig.control.drain(10)
        await rig.control.quit()
    assert told == {}
    assert len(backend.asked) == asked + rig.seen.probes["gateway"].sent


def test_usage_and_a_missing_socket_are_told() -> None:
    """Wrong arguments end with 2, a socket that is not there with 1 and its path."""
    usage = subprocess.run(
        [sys.executable, "-m", "chaos.workloads"], capture_output=True, text=True, check=False, timeout=HANG_S
    )
    assert (usage.returncode, "SOCKET" in usage.stderr) == (2, True)
    command = [sys.executable, "-m", "chaos.workloads", "/nowhere/s"]
    missing = subprocess.run(command, capture_output=True, text=True, check=False, timeout=HANG_S)
    assert (missing.returncode, "/nowhere/s" in missing.stderr) == (1, True)


async def test_a_stopped_driver_takes_commands_again() -> None:
    """Commands given while the driver is stopped are carried out when it goes on."""
    async with stand_in() as backend, running_driver() as rig:
        await rig.control.setup(driver_plan(kind_plan("gateway", "chat"), endpoints=backend.endpoints), within_s=20)
        os.kill(rig.process.pid, signal.SIGSTOP)
        await rig.control.start(time.monotonic_ns())
        os.kill(rig.process.pid, signal.SIGCONT)
        await rig.seen.until(lambda seen: bool(seen.operations))
        await rig.control.quit()
