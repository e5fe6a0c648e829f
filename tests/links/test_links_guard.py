"""The guard of a server that knows no leases: it does its work when its starter is killed, and stands in nobody's way meanwhile."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import anyio
import pytest

from chaos.errors import ProxyError
from chaos.links import Toxic, connect_chained, connect_toxiproxy, embedded_proxy
from chaos.links import guard as guarding
from chaos.links.guard import guarded, remaining_proxies, remove_proxies
from chaos.model.link import Link
from tests.links.servers import WITHIN_S, echo, real_toxiproxy

OTHERS = Link(name="somebody>else")
THEIRS = Toxic(type="latency", name="theirs", attributes={"latency": 5})


@contextmanager
def hung() -> Iterator[str]:
    """A server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


async def test_the_guard_heals_when_its_starter_is_killed() -> None:
    """SIGKILL: within ten seconds our proxy is gone from the server, and that of somebody else is as it was."""
    async with real_toxiproxy() as server, echo() as upstream, connect_toxiproxy(server) as others:
        await others.create(OTHERS, upstream=upstream)
        await others.inject(OTHERS.name, THEIRS)
        await others.create(Link(name="run-1.a>b"), upstream=upstream)
        starter = subprocess.Popen(
            [sys.executable, "-c", STARTER, server], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
        )
        assert starter.stdout is not None
        guard = int(await anyio.to_thread.run_sync(starter.stdout.readline))
        starter.send_signal(signal.SIGKILL)
        starter.wait()
        with anyio.fail_after(10):
            while remaining_proxies(server, ["run-1.a>b"]):
                await anyio.sleep(0.05)
        assert [(one.link, one.fault) for one in await others.read_back()] == [(OTHERS.name, "theirs")]
        starter.stdout.close()
        with anyio.fail_after(10):
            while _lives(guard):
                await anyio.sleep(0.05)


STARTER = """
import os, sys, anyio
from chaos.links.guard import guarded

async def main():
    async with guarded(sys.argv[1]) as guard:
        guard.watch("run-1.a>b")
        print(guard.pid, flush=True)
        while "die" not in sys.argv:
            guard.beat()
            await anyio.sleep(0.5)
        os.kill(os.getpid(), 9)

anyio.run(main)
"""


async def test_the_guard_touches_nothing_when_all_is_well() -> None:
    """Dismissed, it ends; the proxy is there."""
    async with real_toxiproxy() as server, echo() as upstream, connect_toxiproxy(server) as others:
        await others.create(Link(name="run-1.a>b"), upstream=upstream)
        async with guarded(server) as guard:
            guard.watch("run-1.a>b")
            guard.beat()
        assert not _lives(guard.pid)
        assert remaining_proxies(server, ["run-1.a>b", "run-1.c>d"]) == ("run-1.a>b",)
        await others.remove("run-1.a>b")


async def test_an_error_stays_what_it_was_and_the_loop_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server hangs and the guard does not end in time: the caller gets its own error, and other tasks go on meanwhile."""
    monkeypatch.setattr(guarding, "_TRY_FOR_S", 0.5)
    monkeypatch.setattr(guarding, "_END_WITHIN_S", 0.5)
    turns = before = 0

    async def turn() -> None:
        nonlocal turns
        while True:
            turns += 1
            await anyio.sleep(0.01)

    async def fail(url: str) -> None:
        nonlocal before
        async with guarded(url) as guard:
            guard.watch("run-1.a>b")
            before = turns
            raise KeyError("original")

    async with anyio.create_task_group() as group:
        group.start_soon(turn)
        with hung() as url, pytest.raises(KeyError, match="original"):
            await fail(url)
        group.cancel_scope.cancel()
    assert turns > before + 5


async def test_one_that_does_not_hear_that_all_is_well_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is stopped: the block ends all the same, without an error, and it is gone."""
    monkeypatch.setattr(guarding, "_END_WITHIN_S", 0.5)
    with hung() as url:
        async with guarded(url) as guard:
            os.kill(guard.pid, signal.SIGSTOP)
    assert not _lives(guard.pid)


async def test_the_block_of_both_proxies_raises_what_was_raised_in_it() -> None:
    """Not in a group, and not replaced by what else went wrong; that is noted on it."""
    async with embedded_proxy() as server, embedded_proxy() as recorder:
        with pytest.raises(ProxyError, match="original"):
            async with connect_chained(recorder, server, holder="run-1"):
                raise ProxyError("original")


def test_trying_ends_in_time_however_many_there_are() -> None:
    """Each call waits three seconds at most, and no longer than there is time for all of them."""
    began = time.monotonic()
    with hung() as url:
        assert remove_proxies(url, [f"run-1.{n}" for n in range(14)], within_s=1.0) == 14
    assert time.monotonic() - began < 2.5


def test_who_reads_the_output_of_a_killed_starter_sees_its_end() -> None:
    """The guard holds neither stream, however long it tries."""
    with hung() as url:
        told = subprocess.run(
            [sys.executable, "-c", STARTER, url, "die"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, timeout=WITHIN_S,
        )  # fmt: skip
    assert told.returncode == -signal.SIGKILL
    assert int(told.stdout)


def _lives(pid: int) -> bool:
    """Whether a process that is not our child is there; one whose parent never reaped it counts as gone."""
    try:
        with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123 - gone between a look and an open
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
