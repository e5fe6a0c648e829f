"""A guard for faults on a proxy that knows no leases: it takes our proxies from the server when its starter dies or falls silent.

    with guarded(url) as guard:
        guard.watch(name)   # before it is made
        guard.beat()        # well within every TTL

A process of its own, in a session of its own: it outlives a SIGKILL of its starter, whose end it sees as the end of its standard input.
Told that all is well it ends without touching anything.
"""

from __future__ import annotations

import http.client
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import NamedTuple
from urllib.parse import quote, urlsplit

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

    def dismiss(self) -> None:
        """All is healed: end without touching anything."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._say(_DONE)
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait(_END_WITHIN_S)

    def _say(self, line: bytes) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line)
        self._process.stdin.flush()


@contextmanager
def guarded(url: str) -> Iterator[Guard]:
    """A guard beside the block. It is dismissed when the block ends well, and does its work when it does not."""
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "chaos.links", url], stdin=subprocess.PIPE, start_new_session=True
    )
    guard = Guard(process)
    try:
        yield guard
    except BaseException:
        assert process.stdin is not None
        with suppress(BrokenPipeError):
            process.stdin.close()
        process.wait(_TRY_FOR_S + _END_WITHIN_S)
        raise
    guard.dismiss()


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


def remove_proxies(url: str, names: Sequence[str]) -> int:
    """Delete these proxies and see that they are gone; nothing else is touched. Tries for half a minute. Answers how many are left."""
    left = list(names)
    until = time.monotonic() + _TRY_FOR_S
    while left and time.monotonic() < until:
        left = [name for name in left if not _gone(url, name)]
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


def _gone(url: str, name: str) -> bool:
    """Ask for a proxy's end, and whether it is there no more. A server that is gone has no proxies."""
    path = f"/proxies/{quote(name, safe='')}"
    try:
        _call(url, "DELETE", path)
        return _call(url, "GET", path) == 404
    except ConnectionRefusedError:
        return True
    except (OSError, http.client.HTTPException):
        return False


def _call(url: str, method: str, path: str) -> int:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port or 80, timeout=_CALL_WITHIN_S)
    try:
        connection.request(method, path)
        return connection.getresponse().status
    finally:
        connection.close()
