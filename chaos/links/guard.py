"""A guard for faults on a proxy that knows no leases: it takes our proxies from the server when its starter dies or falls silent.

    async with guarded(url) as guard:
        guard.watch(name)   # before it is made
        guard.beat()        # well within every TTL

A process of its own, in a session of its own: it outlives a SIGKILL of its starter, whose end it sees as the end of its standard input.
Told that all is well it ends without touching anything.
"""

from __future__ import annotations

import http.client
import math
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple
from urllib.parse import quote, urlsplit

import anyio
import anyio.to_thread

__all__ = ["TTL_S", "Guard", "guarded", "keep_guard", "remaining_proxies", "remove_proxies"]

TTL_S = 5.0
"""Without a beat for so long the starter counts as dead."""

_TRY_FOR_S = 30.0
_CALL_WITHIN_S = 3.0
_PAUSE_S = 0.2
_END_WITHIN_S = 5.0
_DONE = b"done\n"


class Guard:
    """The guard's end of the pipe that its starter holds."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def __repr__(self) -> str:
        return f"<Guard pid={self._process.pid} {'gone' if self._process.poll() is not None else 'watching'}>"

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def beat(self) -> None:
        """Say that the starter lives. Raises BrokenPipeError when the guard is gone."""
        self._say(b"beat\n")

    def watch(self, name: str) -> None:
        """One more proxy of ours on the server: said before it is made."""
        self._say(f"watch {name}\n".encode())

    async def dismiss(self) -> None:
        """All is healed: end without touching anything. Never raises; one that does not hear it is killed, for it has nothing to do."""
        with suppress(BrokenPipeError):
            self._say(_DONE)
        if not await self._ends_within(_END_WITHIN_S):
            self._process.kill()
            await self._ends_within(_END_WITHIN_S)

    async def leave(self) -> None:
        """Have it do its work now, and wait until that is done or given up. Never raises: why the starter leaves is told by others."""
        await self._ends_within(_TRY_FOR_S + _END_WITHIN_S)

    async def _ends_within(self, within_s: float) -> bool:
        """Whether it is gone in time, once nobody speaks to it any more; shielded, and the loop turns meanwhile."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        with anyio.move_on_after(within_s, shield=True):
            await anyio.to_thread.run_sync(self._process.wait, abandon_on_cancel=True)
        return self._process.poll() is not None

    def _say(self, line: bytes) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line)
        self._process.stdin.flush()


@asynccontextmanager
async def guarded(url: str) -> AsyncIterator[Guard]:
    """A guard beside the block. It is dismissed when the block ends well, and does its work when it does not.

    It holds no output of its starter: who reads that sees its end with the starter's.
    """
    process = subprocess.Popen(  # noqa: ASYNC220 - a fork takes a millisecond, and nothing is waited for
        [sys.executable, "-P", "-m", "chaos.links", url],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    guard = Guard(process)
    try:
        yield guard
    except BaseException:
        await guard.leave()
        raise
    await guard.dismiss()


class _Watched(NamedTuple):
    """What a guard knew when its watch was over."""

    names: tuple[str, ...]
    done: bool


def keep_guard(url: str, fd: int = 0) -> int:
    """Watch until the starter is done, gone or silent; then take its proxies from the server. 0 if none is left."""
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, signal.SIG_IGN)
    watched = _watch(fd)
    return 0 if watched.done else remove_proxies(url, watched.names)


def _watch(fd: int) -> _Watched:
    names: dict[str, None] = {}
    held = b""
    while select.select([fd], [], [], TTL_S)[0]:
        piece = os.read(fd, 65_536)
        if not piece:
            break
        *lines, held = (held + piece).split(b"\n")
        for line in lines:
            if line + b"\n" == _DONE:
                return _Watched(tuple(names), done=True)
            word, _, name = line.decode("utf-8", "replace").partition(" ")
            if word == "watch":
                names[name] = None
    return _Watched(tuple(names), done=False)


def remove_proxies(url: str, names: Sequence[str], *, within_s: float = _TRY_FOR_S) -> int:
    """Delete these proxies and see that they are gone; nothing else is touched. Answers how many are left when the time is over."""
    left = list(names)
    until = time.monotonic() + within_s
    while left and time.monotonic() < until:
        left = [name for name in left if not _gone(url, name, until)]
        if left:
            time.sleep(_PAUSE_S)
    return len(left)


def remaining_proxies(url: str, names: Sequence[str]) -> tuple[str, ...]:
    """Which of these proxies are there; none on a server that is gone. Raises OSError for one that does not answer."""
    try:
        return tuple(name for name in names if _call(url, "GET", f"/proxies/{quote(name, safe='')}") != 404)
    except ConnectionRefusedError:
        return ()
    except http.client.HTTPException as error:
        raise OSError(f"no answer of a proxy: {error!r}") from error


def _gone(url: str, name: str, until: float) -> bool:
    """Ask for a proxy's end, and whether it is there no more; False without an answer in time. A server that is gone has no proxies."""
    path = f"/proxies/{quote(name, safe='')}"
    try:
        _call(url, "DELETE", path, until)
        return _call(url, "GET", path, until) == 404
    except ConnectionRefusedError:
        return True
    except (OSError, http.client.HTTPException):
        return False


def _call(url: str, method: str, path: str, until: float = math.inf) -> int:
    within_s = min(_CALL_WITHIN_S, until - time.monotonic())
    if within_s <= 0:
        raise TimeoutError
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port or 80, timeout=within_s)
    try:
        connection.request(method, path)
        return connection.getresponse().status
    finally:
        connection.close()
