"""Children under the supervisor: started, stopped, killed, and reported."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos.errors import NotReadyError
from chaos.system import Children, make_scratch, open_children
from chaos.system.procfs import alive
from chaos.system.supervisor.escalation import escalation
from tests.system.kit import HANG_GUARD_S, eventually, of_scratch, python, spec

DEAF = """
import signal, os, sys, time
for signo in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP): signal.signal(signo, signal.SIG_IGN)
if os.fork() == 0: time.sleep(600)
print("deaf", flush=True)
time.sleep(600)
"""


@asynccontextmanager
async def opened(log_dir: Path) -> AsyncIterator[Children]:
    """Children of a run of their own, under a hang guard."""
    async with asyncio.timeout(HANG_GUARD_S), open_children(make_scratch("test"), log_dir) as children:
        yield children


@given(st.sampled_from(["TERM", "INT"]), st.floats(0, 100))
def test_escalation_wakes_asks_then_kills(stop_signal: str, grace_s: float) -> None:
    """Whatever the grace: SIGCONT first, the asking signal at once, SIGKILL last and never early, times in order."""
    steps = escalation(stop_signal, grace_s)
    assert steps[0] == (0.0, signal.SIGCONT)
    assert steps[1] == (0.0, getattr(signal, f"SIG{stop_signal}"))
    assert steps[-1][1] == signal.SIGKILL
    assert steps[-1][0] >= grace_s
    assert [when for when, _ in steps] == sorted(when for when, _ in steps)


def test_supervisor_imports_the_standard_library_only() -> None:
    """It has to start in tens of milliseconds, so nothing heavy may creep in."""
    code = (
        "import sys, chaos.system.supervisor.loop as _; "
        "heavy = {'anyio', 'asyncio', 'msgspec', 'httpx', 'subprocess', 'pathlib'} & set(sys.modules); "
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=HANG_GUARD_S)


async def test_child_runs_logs_and_stops(tmp_path: Path) -> None:
    """Output lands in the log, the stop signal ends the child, and its exit is expected."""
    async with opened(tmp_path) as children:
        child = await children.start(
            python("talker", "print('hello', flush=True); import time; time.sleep(600)", tmp_path)
        )
        assert eventually(lambda: child.log.read_text() == "hello\n")
        ended = await child.stop()
    assert (ended.code, ended.expected) == (-signal.SIGTERM, True)


async def test_unexpected_death_names_the_log(tmp_path: Path) -> None:
    """An exit nobody asked for is reported at once, with its code and where to read."""
    async with opened(tmp_path) as children:
        await children.start(spec("doomed", "sh", "-c", "exit 3", log_dir=tmp_path))
        ended = await anext(children.exits)
    assert (ended.name, ended.code, ended.expected) == ("doomed", 3, False)
    assert str(tmp_path / "doomed.log") in str(ended)
    assert "unexpectedly" in str(ended)


async def test_command_that_is_not_there(tmp_path: Path) -> None:
    """A command that cannot be executed is refused with the system's reason, and others go on."""
    async with opened(tmp_path) as children:
        with pytest.raises(NotReadyError, match="No such file"):
            await children.start(spec("ghost", "/nonexistent/program", log_dir=tmp_path))
        assert (await children.start(spec("sleeper", "sleep", "600", log_dir=tmp_path))).code is None


async def test_name_is_free_again_after_the_exit(tmp_path: Path) -> None:
    """Two children of one name cannot run at once, one after the other can."""
    async with opened(tmp_path) as children:
        first = await children.start(spec("twin", "sleep", "600", log_dir=tmp_path))
        with pytest.raises(ValueError, match="runs already"):
            await children.start(first.spec)
        await first.stop()
        second = await children.start(first.spec)
        assert second.pid != first.pid


async def test_stopped_and_deaf_children_end_too(tmp_path: Path) -> None:
    """Leaving kills a SIGSTOPped child, one that ignores every asking signal, and its grandchild."""
    scratch = make_scratch("test")
    async with open_children(scratch, tmp_path, grace_ms=100) as children:
        stopped = await children.start(spec("stopped", "sleep", "600", log_dir=tmp_path))
        deaf = await children.start(python("deaf", DEAF, tmp_path))
        assert eventually(lambda: "deaf" in deaf.log.read_text())
        stopped.signal(signal.SIGSTOP)
    assert deaf.code == -signal.SIGKILL
    assert stopped.code == -signal.SIGTERM
    assert of_scratch(scratch.path) == []
    assert not scratch.path.exists()


async def test_group_ends_with_its_leader(tmp_path: Path) -> None:
    """A killed service takes its workers along, in its group or in sessions of their own; other children stay."""
    async with opened(tmp_path) as children:
        code = "sleep 601 & setsid sleep 602 & exec sleep 603"
        leader = await children.start(spec("leader", "sh", "-c", code, log_dir=tmp_path))
        bystander = await children.start(spec("bystander", "sh", "-c", "sleep 604 & wait", log_dir=tmp_path))
        assert eventually(lambda: len(of_scratch(children.scratch.path)) == 6)  # the supervisor, three and two
        leader.signal(signal.SIGKILL)
        await leader.wait()
        assert eventually(lambda: len(of_scratch(children.scratch.path)) == 3)
        assert bystander.code is None


async def test_supervisor_ignores_what_a_terminal_sends(tmp_path: Path) -> None:
    """SIGINT, SIGTERM and SIGHUP do not end the supervisor: only the end of its pipe does."""
    async with opened(tmp_path) as children:
        child = await children.start(spec("sleeper", "sleep", "600", log_dir=tmp_path))
        supervisor = os.getpgid(os.getsid(child.pid))
        for signo in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.kill(supervisor, signo)
        await children.start(spec("later", "sleep", "600", log_dir=tmp_path))
        assert child.code is None


@pytest.mark.skipif(sys.platform != "linux", reason="children die with their supervisor on Linux only")
async def test_killed_supervisor_takes_its_children_along(tmp_path: Path) -> None:
    """If the supervisor is killed, every child is reported lost, starting fails with a reason, and leaving clears up."""
    scratch = make_scratch("test")
    async with open_children(scratch, tmp_path) as children:
        child = await children.start(python("deaf", DEAF, tmp_path))
        assert eventually(lambda: "deaf" in child.log.read_text())
        os.kill(os.getsid(child.pid), signal.SIGKILL)
        assert (await child.wait()).code is None
        assert [ended.name async for ended in children.exits] == ["deaf"]
        with pytest.raises(NotReadyError, match="supervisor"):
            await children.start(child.spec)
    assert of_scratch(scratch.path) == []
    assert not scratch.path.exists()


@pytest.mark.parametrize("ticks", [0, 1, 2, 3, 4, 6, 9])
async def test_cancelled_at_any_moment_leaves_nothing(tmp_path: Path, ticks: int) -> None:
    """Cancelled while opening, starting or running: no process and no directory is left."""
    scratch = make_scratch("test")

    async def body() -> None:
        async with open_children(scratch, tmp_path) as children:
            await children.start(spec("sleeper", "sleep", "600", log_dir=tmp_path))
            await asyncio.Event().wait()

    task = asyncio.create_task(body())
    for _ in range(ticks):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert eventually(lambda: of_scratch(scratch.path) == [])
    if ticks == 0:  # never began: the directory is its maker's
        scratch.path.joinpath("owner.json").unlink()
        scratch.path.rmdir()
    assert eventually(lambda: not scratch.path.exists())


async def test_child_sees_no_pipe_of_ours(tmp_path: Path) -> None:
    """A child inherits nothing but its three standard files."""
    async with opened(tmp_path) as children:
        child = await children.start(python("fds", "import os; print(sorted(os.listdir('/proc/self/fd')))", tmp_path))
        await child.wait()
        assert child.log.read_text() == "['0', '1', '2', '3']\n"  # 3 is the listing itself


async def test_alive_knows_recycled_ids() -> None:
    """A process with the same id but another start time is another process."""
    assert alive(os.getpid())
    assert not alive(os.getpid(), start_ticks=1)
