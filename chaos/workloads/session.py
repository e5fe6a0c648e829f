"""The driver process: one socket to the conductor; the process ends when that does, when told to, or by SIGTERM."""

from __future__ import annotations

import logging
import signal
from contextlib import AsyncExitStack

import anyio
import anyio.abc
import msgspec

from chaos.errors import NotReadyError
from chaos.workloads.driver import Driver
from chaos.workloads.frames import FrameReader
from chaos.workloads.outbox import Outbox
from chaos.workloads.protocol import DriverFailed, decode_command

__all__ = ["run_driver"]

_log = logging.getLogger(__name__)
_FLUSH_WITHIN_S = 3.0
_GONE = (anyio.BrokenResourceError, anyio.ClosedResourceError)


async def run_driver(socket_path: str) -> int:
    """Serve the conductor that listens there; returns the exit code of the process."""
    async with await anyio.connect_unix(socket_path) as stream:
        return await _Session(stream).run()


class _Session:
    def __init__(self, stream: anyio.abc.SocketStream) -> None:
        self._frames = FrameReader(stream)
        self._outbox = Outbox(stream)
        self._sent = anyio.Event()
        self._code = 0

    async def run(self) -> int:
        async with AsyncExitStack() as connections, anyio.create_task_group() as tasks:
            driver = Driver(self._outbox, tasks, connections)
            tasks.start_soon(self._send, tasks)
            tasks.start_soon(_on_signal, obeying := anyio.CancelScope())
            with obeying:
                await self._obey(driver)
            driver.finish()
            self._outbox.close()
            with anyio.move_on_after(_FLUSH_WITHIN_S):
                await self._sent.wait()
            tasks.cancel_scope.cancel()
        return self._code

    async def _obey(self, driver: Driver) -> None:
        """Commands one after the other, until the last one or the conductor's end."""
        try:
            while (payload := await self._frames.next()) is not None:
                if not driver.obey(decode_command(payload)):
                    return
            _log.warning("the conductor is gone")
        except (NotReadyError, msgspec.MsgspecError) as error:
            _log.exception("a command could not be carried out")
            self._outbox.put(DriverFailed(reason=f"{type(error).__name__}: {error}"))
            self._code = 1

    async def _send(self, tasks: anyio.abc.TaskGroup) -> None:
        try:
            await self._outbox.run()
        except _GONE:
            tasks.cancel_scope.cancel()
        finally:
            self._sent.set()


async def _on_signal(obeying: anyio.CancelScope) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for number in signals:
            _log.warning("ended by %s", signal.Signals(number).name)
            obeying.cancel()
