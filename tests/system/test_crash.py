"""SIGKILL of the conductor at any stage leaves nothing: no process, port, socket file, shared memory or directory."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from chaos.system.leftovers import find_leftovers, remove_leftover
from chaos.system.procfs import stat
from tests.system.kit import eventually, of_scratch

CONDUCTOR = """
import asyncio, signal, sys
from pathlib import Path
from chaos.system import *

stage, logs = sys.argv[1], Path(sys.argv[2])

def segments(key):
    table = Path("/proc/sysvipc/shm")
    rows = table.read_text().splitlines()[1:] if table.exists() else [f"{key}"]
    return [row for row in rows if int(row.split()[0]) & 0xFFFFFFFF == key & 0xFFFFFFFF]

def reached(name, **facts):
    if name == stage:
        print("FACTS", facts, flush=True)
        signal.pause()

DEAF = '''
import signal, os, time
for signo in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP): signal.signal(signo, signal.SIG_IGN)
if os.fork() == 0 and os.fork() == 0: os.setsid()
time.sleep(600)
'''

async def main():
    scratch = make_scratch("crash")
    print("SCRATCH", scratch.path, flush=True)
    reached("scratch")
    async with open_children(scratch, logs) as children:
        reached("supervisor")
        def spec(name, *argv):
            return ChildSpec(name=name, argv=argv, log=logs / f"{name}.log", env=minimal_environment())
        stopped = await children.start(spec("stopped", "sleep", "600"))
        stopped.signal(signal.SIGSTOP)
        await children.start(spec("deaf", sys.executable, "-c", DEAF))
        reached("children")
        with reserve_port() as one, reserve_port() as two, reserve_port() as three:
            nats = await start_nats(children, two, three, logs / "nats.log")
            starting = asyncio.create_task(start_postgres(children, one, logs / "postgres.log"))
            data = scratch.path / "pg" / "data"
            while not (data.exists() and segments(data.stat().st_ino)):
                await asyncio.sleep(0.001)
            reached("initdb", keys=[data.stat().st_ino])
            postgres = await starting
            import asyncpg
            held = await asyncpg.connect(postgres.dsn.reveal())
            await held.execute("SELECT 1")
            postgres.child.signal(signal.SIGSTOP if "stopped" in stage else signal.SIGCONT)
            for name in ("servers", "stopped-servers"):
                reached(name, ports=[one.address.port, two.address.port], keys=[data.stat().st_ino])

asyncio.run(main())
"""


def shared_memory_left(facts: str) -> list[str]:
    """Segments of the Postgres whose data directory had that inode, which is the key of its shared memory."""
    keys = {int(key) & 0xFFFFFFFF for key in re.findall(r"\d+", facts.partition("'keys'")[2].partition("]")[0])}
    table = Path("/proc/sysvipc/shm")
    rows = table.read_text().splitlines()[1:] if table.exists() else []
    return [row for row in rows if int(row.split()[0]) & 0xFFFFFFFF in keys]


def refused(port: int) -> bool:
    """Whether nobody listens there."""
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) != 0


@pytest.mark.parametrize("stage", ["supervisor", "children", "initdb", "servers", "stopped-servers"])
def test_sigkill_of_the_conductor_leaves_nothing(stage: str, tmp_path: Path) -> None:
    """Within ten seconds every trace is gone, stopped and deaf processes and Postgres backends included."""
    with subprocess.Popen(
        [sys.executable, "-c", CONDUCTOR, stage, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as conductor:
        assert conductor.stdout is not None
        scratch = Path(conductor.stdout.readline().split()[1])
        facts = conductor.stdout.readline()
        assert of_scratch(scratch) != []
        conductor.kill()
    assert eventually(lambda: of_scratch(scratch) == [], 10), [stat(pid) for pid in of_scratch(scratch)]
    assert eventually(lambda: not scratch.exists(), 10)
    for port in re.findall(r"\d+", facts.partition("ports")[2].partition("]")[0]):
        assert refused(int(port))
    assert shared_memory_left(facts) == []


def test_killed_before_the_supervisor_is_recovered(tmp_path: Path) -> None:
    """A directory without a supervisor is found as a left-over of a dead run and removed."""
    with subprocess.Popen(
        [sys.executable, "-c", CONDUCTOR, "scratch", str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as conductor:
        assert conductor.stdout is not None
        scratch = Path(conductor.stdout.readline().split()[1])
        conductor.stdout.readline()
        assert all(found.path != scratch for found in find_leftovers()), "its run is alive"
        conductor.kill()
    (leftover,) = [found for found in find_leftovers() if found.path == scratch]
    assert (leftover.run, leftover.pids) == ("crash", ())
    assert remove_leftover(leftover) == ()
    assert not scratch.exists()


@pytest.mark.parametrize("stage", ["children", "servers", "stopped-servers"])
def test_supervisor_killed_too_is_recovered(stage: str, tmp_path: Path) -> None:
    """With conductor and supervisor both killed, recovering ends what has escaped and removes the directory."""
    with subprocess.Popen(
        [sys.executable, "-c", CONDUCTOR, stage, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as conductor:
        assert conductor.stdout is not None
        scratch = Path(conductor.stdout.readline().split()[1])
        facts = conductor.stdout.readline()
        (supervisor,) = [pid for pid in of_scratch(scratch) if (found := stat(pid)) and found.ppid == conductor.pid]
        os.kill(supervisor, signal.SIGKILL)
        conductor.kill()
    (leftover,) = [found for found in find_leftovers() if found.path == scratch]
    remove_leftover(leftover)
    assert of_scratch(scratch) == []
    assert not scratch.exists()
    assert shared_memory_left(facts) == []
