"""The supervisor's life: serve the conductor until its pipe closes or it says bye, then end everything and tidy up."""

# pathlib is slow to import, and the supervisor has to start in tens of milliseconds.
# ruff: noqa: PTH110, PTH118
from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import socket
import time
from collections.abc import Callable
from typing import Any

from chaos.system import procfs, sharedmem, trees
from chaos.system.supervisor.child import SupervisedChild
from chaos.system.supervisor.escalation import CRASH_GRACE_S
from chaos.system.supervisor.log import ChildLog, Hidden
from chaos.system.supervisor.spawn import SpawnError, become_subreaper, spawn

__all__ = ["OWNER_FILE", "Supervisor"]

OWNER_FILE = "owner.json"
"""Marks a scratch directory; only a directory that holds it is ever removed."""

CHILD_VARIABLE = "CHAOS_CHILD"
"""Names the child in its environment, inherited by its descendants."""

_SWEEPS = 50
_SWEEP_PAUSE_S = 0.01


class Supervisor:
    """Owns the children of one run. `sock` is the pipe to the conductor; its end of file ends everything."""

    def __init__(self, sock: socket.socket, scratch: str) -> None:
        self._sock = sock
        self._scratch = scratch
        self._children: dict[int, SupervisedChild] = {}
        self._creators: dict[int, int] = {}  # pid -> uid of all children ever, for their shared memory
        self._buffer = b""
        self._open = True
        self._selector = selectors.DefaultSelector()
        self._hidden = Hidden([])
        self._logs: set[ChildLog] = set()  # a descendant may hold one for longer than the child lives
        self._commands: dict[str, Callable[..., None]] = {
            "hide": self._hide,
            "start": self._start,
            "stop": self._stop,
            "signal": self._signal,
            "bye": self._bye,
        }

    def run(self) -> None:
        """Serve until the pipe closes, then leave nothing behind."""
        become_subreaper()
        wake_reader, wake_writer = socket.socketpair()
        for end in (wake_reader, wake_writer):
            end.setblocking(False)
        signal.set_wakeup_fd(wake_writer.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        with self._selector:
            self._selector.register(self._sock, selectors.EVENT_READ)
            self._selector.register(wake_reader, selectors.EVENT_READ)
            self._send(event="ready", pid=os.getpid())
            try:
                while self._serving() or self._children:
                    self._turn(wake_reader)
            finally:
                self._tidy()  # should there be a mistake in here, nothing outlives it

    def _turn(self, wake_reader: socket.socket) -> None:
        ready = {key.fileobj for key, _ in self._selector.select(self._timeout_s())}
        if wake_reader in ready:
            with contextlib.suppress(BlockingIOError):
                wake_reader.recv(4096)
        for log in self._logs & ready:
            log.take()
        self._reap()
        self._close_logs()
        if self._serving() and self._sock in ready:
            self._receive()
            if not self._serving():
                self._selector.unregister(self._sock)
        now = time.monotonic()
        for child in self._children.values():
            child.fire(now)

    def _timeout_s(self) -> float | None:
        due = [child.due[0][0] for child in self._children.values() if child.due]
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _serving(self) -> bool:
        return self._open

    # --- the conductor's side ---

    def _receive(self) -> None:
        try:
            data = self._sock.recv(65536)
        except OSError:
            data = b""
        if not data:
            self._end_all(CRASH_GRACE_S)
            return
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            message = json.loads(line)
            self._commands[message.pop("op")](**message)

    def _send(self, **message: Any) -> None:
        # A conductor that does not read must not hold us up: what does not fit at once is dropped.
        with contextlib.suppress(OSError):
            self._sock.send(json.dumps(message).encode() + b"\n", socket.MSG_DONTWAIT)

    def _start(self, name: str, argv: list[str], env: dict[str, str], cwd: str, log: str, **how: Any) -> None:
        env.pop("PYTHONDONTWRITEBYTECODE", None)  # each start would compile everything anew
        env[CHILD_VARIABLE] = name
        try:
            pid, written = self._spawn(argv, env, cwd, log, **how)
        except (SpawnError, OSError) as exc:
            self._send(event="failed", name=name, error=str(exc))
            return
        self._logs.add(written)
        self._selector.register(written, selectors.EVENT_READ)
        uid = how["user"][0] if how["user"] else os.geteuid()
        self._children[pid] = SupervisedChild(name, pid, how["stop_signal"], uid, written)
        self._creators[pid] = uid
        self._send(event="started", name=name, pid=pid)

    def _spawn(self, argv: list[str], env: dict[str, str], cwd: str, log: str, **how: Any) -> tuple[int, ChildLog]:
        written = ChildLog(log, self._hidden)
        try:
            return spawn(argv, env, cwd, written.writer, **how), written
        except (SpawnError, OSError):
            written.close()
            raise
        finally:
            written.hand_over()

    def _hide(self, forms: list[str]) -> None:
        self._hidden = Hidden(forms)

    def _named(self, name: str) -> list[SupervisedChild]:
        return [child for child in self._children.values() if child.name == name]

    def _stop(self, name: str, grace_ms: float) -> None:
        for child in self._named(name):
            child.begin_stop(time.monotonic(), grace_ms / 1000)

    def _signal(self, name: str, signo: int) -> None:
        for child in self._named(name):
            child.signal(signo)

    def _bye(self, grace_ms: float) -> None:
        self._end_all(grace_ms / 1000)

    def _end_all(self, grace_s: float) -> None:
        self._open = False
        now = time.monotonic()
        for child in self._children.values():
            child.begin_stop(now, grace_s)

    # --- the children's side ---

    def _reap(self) -> None:
        while (ended := _next_exited()) is not None:
            pid, status = ended
            child = self._children.pop(pid, None)
            if child is not None:
                child.signal(signal.SIGKILL)
            if status is None:
                _, status = os.waitpid(pid, 0)
            if child is not None:
                self._end_orphans(child.name)
                child.log.finish()  # who hears of the end may look for the reason
                self._send(event="exited", name=child.name, pid=child.pid, code=os.waitstatus_to_exitcode(status))

    def _end_orphans(self, name: str) -> None:
        # Descendants in sessions of their own (Postgres backends) that have fallen to us; those of another child stay.
        others = {child.name for child in self._children.values()} - {name}
        for pid in procfs.descendants(os.getpid()):
            found = procfs.stat(pid)
            if found is None or found.ppid != os.getpid() or pid in self._children:
                continue
            if procfs.environ_value(pid, CHILD_VARIABLE) not in others:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def _close_logs(self) -> None:
        for log in [one for one in self._logs if one.ended]:
            self._selector.unregister(log)
            log.close()
            self._logs.remove(log)

    def _tidy(self) -> None:
        left = self._sweep()
        for log in self._logs:
            log.finish()
            log.close()
        shared = sharedmem.remove_segments(sharedmem.segments_of(self._creators, self._scratch))
        gone = not os.path.exists(os.path.join(self._scratch, OWNER_FILE)) or trees.remove_tree(self._scratch)
        self._send(event="bye", left=left, shared_memory=shared, scratch="" if gone else self._scratch)

    def _sweep(self) -> list[int]:
        """Kill whatever still descends from us; the processes that would not die are returned."""
        left: list[int] = []
        for child in self._children.values():
            child.signal(signal.SIGKILL)
        for _ in range(_SWEEPS):
            left = procfs.descendants(os.getpid())
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self._reap()
            if not left:
                break
            time.sleep(_SWEEP_PAUSE_S)  # single-threaded, nothing else to do but wait for the kernel
        return left


def _next_exited() -> tuple[int, int | None] | None:
    """A child that has ended. Where possible it is only looked at (status None): until it is waited for, the id of its
    group cannot be reused.
    """
    try:
        if not hasattr(os, "waitid"):  # macOS before Python 3.13
            pid, status = os.waitpid(-1, os.WNOHANG)
            return (pid, status) if pid else None
        found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return None
    return (found.si_pid, None) if found is not None else None
