"""One child of a run: what to start, the running process, and how it ended."""

from __future__ import annotations

import asyncio
import dataclasses
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal, Self

from chaos.errors import NotReadyError
from chaos.system.accounts import Account

__all__ = ["STOP_GRACE_MS", "STOP_SLACK_S", "Child", "ChildExit", "ChildSpec", "ExitStream", "exit_text", "log_tail"]

STOP_GRACE_MS = 2000.0
STOP_SLACK_S = 3.0
_FATAL = frozenset({signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGQUIT})


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ChildSpec:
    """What to start. The environment is the whole one the child gets; it is not shown by `repr`: it holds credentials."""

    name: str
    argv: tuple[str, ...]
    log: Path
    env: Mapping[str, str] = dataclasses.field(repr=False)
    cwd: Path | None = None
    stop_signal: Literal["TERM", "INT"] = "TERM"
    account: Account | None = None
    nice: int = 0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ChildExit:
    """A child ended. `code` is as in subprocess: negative for a signal, None if the supervisor was lost with it."""

    name: str
    pid: int
    code: int | None
    expected: bool
    log: Path

    def __str__(self) -> str:
        how = "unexpectedly" if not self.expected else "as asked"
        return f"{self.name} (pid {self.pid}) ended {how}: {exit_text(self.code)}; its log is {self.log}"


def exit_text(code: int | None) -> str:
    """How a process ended, from its code as in subprocess (None: its supervisor was lost)."""
    if code is None:
        return "its supervisor was lost"
    return f"exit code {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"


def log_tail(log: Path, lines: int = 8) -> str:
    """The last lines of a log, for an error message; empty if there is none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 8192))
            return "\n".join(file.read().decode("utf-8", "replace").splitlines()[-lines:])
    except OSError:
        return ""


class Child:
    """One running child."""

    def __init__(self, send: Callable[..., None], spec: ChildSpec, pid: int) -> None:
        self._send = send
        self.spec = spec
        self.name = spec.name
        self.log = spec.log
        self.pid = pid
        self.exit: ChildExit | None = None
        self.exited = asyncio.Event()
        self._expected = False

    def __repr__(self) -> str:
        return f"<Child {self.name} pid={self.pid} {'running' if self.exit is None else exit_text(self.exit.code)}>"

    @property
    def code(self) -> int | None:
        """Exit code, negative for a signal; None while it runs."""
        return self.exit.code if self.exit is not None else None

    def expect_exit(self) -> None:
        """From now on an exit of this child is not a surprise."""
        self._expected = True

    def signal(self, signo: int) -> None:
        """Send a signal to the child's whole group (SIGSTOP, SIGCONT, SIGKILL). A fatal one makes its exit expected."""
        if signo in _FATAL:
            self.expect_exit()
        self._send(op="signal", name=self.name, signo=int(signo))

    async def wait(self) -> ChildExit:
        """Wait for the end."""
        await self.exited.wait()
        assert self.exit is not None
        return self.exit

    async def stop(self, grace_ms: float = STOP_GRACE_MS) -> ChildExit:
        """Ask it to stop, kill it after `grace_ms`, and wait. Raises NotReadyError if it does not even die then."""
        if self.exit is None:
            self.expect_exit()
            self._send(op="stop", name=self.name, grace_ms=grace_ms)
        try:
            async with asyncio.timeout(grace_ms / 1000 + STOP_SLACK_S):
                return await self.wait()
        except TimeoutError:
            raise NotReadyError(
                f"{self.name} (pid {self.pid}) does not end, not even by SIGKILL; look at its state with ps"
            ) from None

    def ended(self, code: int | None) -> ChildExit:
        """Note the end; called by Children."""
        self.exit = ChildExit(name=self.name, pid=self.pid, code=code, expected=self._expected, log=self.log)
        self.exited.set()
        return self.exit


class ExitStream:
    """Exits of children in the order they happen: `async for exit in stream`; ends when the supervisor is gone."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[ChildExit | None] = asyncio.Queue()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ChildExit:
        found = await self._queue.get()
        if found is None:
            self.put(None)  # for the next one who asks
            raise StopAsyncIteration
        return found

    def put(self, exit_: ChildExit | None) -> None:
        """Add an exit; None ends the stream."""
        self._queue.put_nowait(exit_)

    def rest(self) -> tuple[ChildExit, ...]:
        """Exits that nobody has taken yet, without waiting for more."""
        found = []
        while not self._queue.empty():
            found.append(self._queue.get_nowait())
        self.put(None)  # whoever still waits is told that there is no more
        return tuple(one for one in found if one is not None)
