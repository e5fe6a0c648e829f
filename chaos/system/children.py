"""The conductor's side of the supervisor: start, stop and signal children, and hear of every exit at once."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import anyio

from chaos.errors import HealError, NotReadyError
from chaos.system.child import STOP_GRACE_MS, STOP_SLACK_S, Child, ChildSpec, ExitStream
from chaos.system.environment import RUN_VARIABLE, minimal_environment
from chaos.system.leftovers import clear
from chaos.system.scratch import Scratch

__all__ = ["Children", "open_children"]

START_DEADLINE_S = 10.0
_FAREWELL = {"left": "processes", "shared_memory": "shared memory", "scratch": "directory"}


class Children(asyncio.Protocol):
    """All children of a run. `exits` yields every ChildExit in order, the moment it happens."""

    def __init__(self, scratch: Scratch) -> None:
        self.scratch = scratch
        self.exits = ExitStream()
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._living: dict[str, Child] = {}
        self._starting: dict[str, tuple[ChildSpec, asyncio.Future[Child]]] = {}
        self.ready = asyncio.Event()
        self.closed = asyncio.Event()
        self.farewell: dict[str, Any] | None = None
        self.supervisor_pid: int | None = None

    def __repr__(self) -> str:
        return f"<Children of {self.scratch.run}: {', '.join(self._living) or 'none'}>"

    def __getitem__(self, name: str) -> Child:
        """The living child of that name."""
        return self._living[name]

    @property
    def connected(self) -> bool:
        """Whether the pipe was ever opened; from then on it belongs to the transport."""
        return self._transport is not None

    @property
    def living(self) -> tuple[Child, ...]:
        """Children that run, in the order they were started."""
        return tuple(self._living.values())

    async def start(self, spec: ChildSpec) -> Child:
        """Start a child; returns once its command has been executed. Raises NotReadyError if it cannot be."""
        if spec.name in self._living or spec.name in self._starting:
            raise ValueError(f"a child named {spec.name} runs already")
        future: asyncio.Future[Child] = asyncio.get_running_loop().create_future()
        self._starting[spec.name] = (spec, future)
        self.send(**_start_message(spec, self.scratch))
        try:
            async with asyncio.timeout(START_DEADLINE_S):
                return await future
        except TimeoutError:
            raise NotReadyError(
                f"{spec.name} was not started within {START_DEADLINE_S:g} s; is the machine overloaded?"
            ) from None

    def send(self, **message: Any) -> None:
        """One message to the supervisor. Raises NotReadyError if it is gone."""
        if self._transport is None or self.closed.is_set():
            raise NotReadyError(
                "the process supervisor is gone, and all children with it; see supervisor.log and run again"
            )
        self._transport.write(json.dumps(message).encode() + b"\n")

    def hide(self, forms: Iterable[str]) -> None:
        """No log of a child started from now on holds any of these texts. Raises NotReadyError if the supervisor is gone."""
        self.send(op="hide", forms=list(forms))

    def expect_exits(self) -> None:
        """From now on no exit is a surprise."""
        for child in self._living.values():
            child.expect_exit()

    def release(self) -> None:
        """Close the pipe; the supervisor takes that as the end."""
        if self._transport is not None:
            self._transport.close()

    # --- asyncio.Protocol ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The pipe is open."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Messages of the supervisor, one a line."""
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            message = json.loads(line)
            getattr(self, f"_on_{message.pop('event')}")(**message)

    def connection_lost(self, exc: Exception | None) -> None:
        """The supervisor is gone: every child is, too."""
        del exc
        self.closed.set()
        self.ready.set()
        for child in self.living:
            self._end(child, None)
        self.exits.put(None)
        for _, future in self._starting.values():
            if not future.done():
                future.set_exception(
                    NotReadyError("the process supervisor ended while starting a child; see supervisor.log")
                )
        self._starting.clear()

    def _on_ready(self, pid: int) -> None:
        self.supervisor_pid = pid
        self.ready.set()

    def _on_started(self, name: str, pid: int) -> None:
        spec, future = self._starting.pop(name)
        child = self._living[name] = Child(self.send, spec, pid)
        if not future.done():
            future.set_result(child)

    def _on_failed(self, name: str, error: str) -> None:
        _, future = self._starting.pop(name)
        if not future.done():
            future.set_exception(NotReadyError(f"{name} could not be started: {error}"))

    def _on_exited(self, name: str, pid: int, code: int) -> None:
        child = self._living.get(name)
        if child is not None and child.pid == pid:
            self._end(child, code)

    def _on_bye(self, **left: Any) -> None:
        self.farewell = left

    def _end(self, child: Child, code: int | None) -> None:
        del self._living[child.name]
        self.exits.put(child.ended(code))


def _start_message(spec: ChildSpec, scratch: Scratch) -> dict[str, Any]:
    return {
        "op": "start",
        "name": spec.name,
        "argv": list(spec.argv),
        "env": {**spec.env, RUN_VARIABLE: scratch.path.name},
        "cwd": str(spec.cwd or Path.cwd()),
        "log": str(spec.log.absolute()),
        "stop_signal": spec.stop_signal,
        "user": [spec.account.uid, spec.account.gid] if spec.account is not None else None,
        "nice": spec.nice,
    }


@contextlib.asynccontextmanager
async def open_children(scratch: Scratch, log_dir: Path, *, grace_ms: float = STOP_GRACE_MS) -> AsyncIterator[Children]:
    """Start the supervisor of a run; on leaving, end all children and remove the scratch directory, cancelled or not.

    Raises NotReadyError if the supervisor does not come up, HealError if something of the run is left after that.
    """
    try:
        ours, theirs = socket.socketpair()
        with theirs:
            process = _start_supervisor(scratch, theirs, log_dir / "supervisor.log")
    except OSError as error:
        clear(scratch.path, scratch.run)
        raise NotReadyError(f"the process supervisor cannot be started: {error}") from error
    children = Children(scratch)
    try:
        await asyncio.get_running_loop().create_connection(lambda: children, sock=ours)
        await _until_ready(children, log_dir)
        yield children
    finally:
        if not children.connected:
            ours.close()
        with anyio.CancelScope(shield=True):
            await _close(children, process, grace_ms)


async def _until_ready(children: Children, log_dir: Path) -> None:
    with anyio.move_on_after(START_DEADLINE_S):
        await children.ready.wait()
    if not children.ready.is_set() or children.closed.is_set():
        raise NotReadyError(f"the process supervisor did not come up; see {log_dir / 'supervisor.log'}")


def _start_supervisor(scratch: Scratch, sock: socket.socket, log: Path) -> subprocess.Popen[bytes]:
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as out:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "chaos.system.supervisor", str(scratch.path)],
            stdin=sock.fileno(),
            stdout=out,
            stderr=out,
            env={**minimal_environment(), RUN_VARIABLE: scratch.path.name},
            start_new_session=True,
        )


async def _close(children: Children, process: subprocess.Popen[bytes], grace_ms: float) -> None:
    children.expect_exits()
    try:
        with anyio.move_on_after(grace_ms / 1000 + STOP_SLACK_S if children.connected else 0):
            with contextlib.suppress(NotReadyError):
                children.send(op="bye", grace_ms=grace_ms)
            await children.closed.wait()
    finally:
        children.release()
    await anyio.to_thread.run_sync(_finish, children, process)


def _finish(children: Children, process: subprocess.Popen[bytes]) -> None:
    """Wait for the supervisor (kill it if it hangs), and do what it could not do any more."""
    try:
        code = process.wait(STOP_SLACK_S)
    except subprocess.TimeoutExpired:
        process.kill()
        code = process.wait(STOP_SLACK_S)
    farewell = children.farewell or {}
    remains = [f"{what} {farewell[key]}" for key, what in _FAREWELL.items() if farewell.get(key)]
    if code != 0 or remains or children.scratch.path.exists():
        clear(children.scratch.path, children.scratch.run)
    if farewell.get("shared_memory"):
        raise HealError(f"run {children.scratch.run} left {', '.join(remains)}; remove it with ipcrm")
