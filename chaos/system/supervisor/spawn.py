"""Fork and exec of one child: own process group, its output, signals at their defaults, dies with the supervisor."""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import sys
from typing import NoReturn

__all__ = ["SpawnError", "become_subreaper", "spawn"]

_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
_PR_SET_CHILD_SUBREAPER = 36
_RESTORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE, signal.SIGCHLD, signal.SIGQUIT)
_LOST_PARENT = 125


class SpawnError(Exception):
    """The command could not be started; the text says why."""


def become_subreaper() -> None:
    """Let orphans of our children become ours (Linux): a Postgres backend whose postmaster died is ended too."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def spawn(
    argv: list[str], env: dict[str, str], cwd: str, out: int, *, stop_signal: str, user: list[int] | None, nice: int
) -> int:
    """Start `argv`, writing to the descriptor `out`, and return its process id once exec has succeeded.

    `user` is [uid, gid] to become. Raises SpawnError with the operating system's reason.
    """
    reader, writer = os.pipe()
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        try:
            _become(argv, env, cwd, out, parent=parent, stop_signal=stop_signal, user=user, nice=nice)
        except OSError as exc:
            os.write(writer, f"{exc.errno or errno.EIO} {argv[0]}".encode())
        finally:
            os._exit(127)
    os.close(writer)
    # The pipe closes on exec: an empty answer means the child is its command now.
    with os.fdopen(reader, "rb") as pipe:
        failure = pipe.read().decode("utf-8", "replace")
    if failure:
        os.waitpid(pid, 0)
        number, _, where = failure.partition(" ")
        raise SpawnError(f"{where}: {os.strerror(int(number))}")
    return pid


def _become(
    argv: list[str],
    env: dict[str, str],
    cwd: str,
    out: int,
    *,
    parent: int,
    stop_signal: str,
    user: list[int] | None,
    nice: int,
) -> NoReturn:
    os.setpgid(0, 0)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(out, 1)
    os.dup2(out, 2)
    for signo in _RESTORED:
        signal.signal(signo, signal.SIG_DFL)
    if nice:
        os.nice(nice)
    if user is not None:
        os.setgroups([])
        os.setgid(user[1])
        os.setuid(user[0])
    os.chdir(cwd)
    _die_with(parent, stop_signal)
    os.execvpe(argv[0], argv, env)  # noqa: S606 - starting the argv it was given is this program's purpose


def _die_with(parent: int, stop_signal: str) -> None:
    # After the change of user, which clears it. Postgres gets SIGQUIT: a killed one leaves backends and shared memory.
    if _LIBC is None:
        return
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGQUIT if stop_signal == "INT" else signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(_LOST_PARENT)
