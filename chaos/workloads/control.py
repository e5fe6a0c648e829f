"""The conductor's end of the driver: commands, their replies, and the stream of evidence. The driver may die at any moment."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import anyio
import msgspec
from anyio.abc import SocketListener, SocketStream

from chaos.errors import NotReadyError
from chaos.model.event import PhaseName
from chaos.workloads.frames import FrameReader
from chaos.workloads.protocol import (
    Command,
    Drain,
    Drained,
    DriverFailed,
    DriverPlan,
    Message,
    Phase,
    Probe,
    Quit,
    Ready,
    Report,
    Setup,
    SetupFailed,
    Start,
    StopLoad,
    decode_report,
    encode_frame,
)

__all__ = ["Control", "open_control"]

_MESSAGES_KEPT = 10_000  # beyond it the reader waits, and the driver counts what it cannot send
_SEND_WITHIN_S = 5.0
_QUIT_WITHIN_S = 5.0
_REPLY_GRACE_S = 5.0  # the driver keeps its own deadlines; it gets this much longer to say so
_GONE = "the load driver is gone; its log says why"

_Reply = TypeVar("_Reply", Ready, Drained)


class Control:
    """Commands to one driver. Each raises NotReadyError when the driver is gone or does not answer in time; `quit` never raises."""

    def __init__(self, listener: SocketListener) -> None:
        self._listener = listener
        self._stream: SocketStream | None = None
        self._connected = anyio.Event()
        self._gone = anyio.Event()
        self._quitting = False
        self._write = anyio.Lock()
        self._replies_in, self._replies = anyio.create_memory_object_stream[Ready | SetupFailed | Drained](16)
        self._messages_in, self._messages = anyio.create_memory_object_stream[Message](_MESSAGES_KEPT)

    def __repr__(self) -> str:
        state = "gone" if self._gone.is_set() else "connected" if self._connected.is_set() else "waiting for the driver"
        return f"<Control {state}>"

    async def setup(self, plan: DriverPlan, *, within_s: float) -> None:
        """Wait for the driver to connect, hand over the plan, and wait until it reached the system and stored the seed documents.

        `within_s` for its start, and as long again for the rest: a slow start is not the system's. Raises NotReadyError.
        """
        with anyio.move_on_after(within_s):
            await self._connected.wait()
        if not self._connected.is_set():
            raise NotReadyError(f"the load driver did not connect within {within_s:g} s; its log says why")
        await self._send(Setup(plan=plan, within_s=within_s))
        await self._reply(Ready, within_s, "the load driver did not finish its set-up")

    async def start(self, at_ns: int) -> None:
        """Arrivals begin at that moment of CLOCK_MONOTONIC."""
        await self._send(Start(at_ns=at_ns))

    async def phase(self, phase: PhaseName, *, at_ns: int | None = None) -> None:
        """Starts intended from `at_ns` (now) on count for this phase."""
        await self._send(Phase(phase=phase, at_ns=time.monotonic_ns() if at_ns is None else at_ns))

    async def probe(self, k: int, within_ms: float, limits_ms: dict[str, float]) -> None:
        """Begin recovery probes; a ProbesFinished for each workload ends them. `limits_ms` by `workload.operation` or workload."""
        await self._send(Probe(k=k, within_ms=within_ms, limits_ms=limits_ms))

    async def stop_load(self) -> None:
        """No more scheduled starts; operations in flight go on."""
        await self._send(StopLoad())

    async def drain(self, within_s: float) -> int:
        """Wait until nothing is in flight. Operations still waiting after `within_s` are abandoned; returns how many those are."""
        await self._send(Drain(within_s=within_s))
        return (
            await self._reply(Drained, within_s, "the load driver did not report its operations in flight")
        ).abandoned

    async def quit(self) -> None:
        """Let the driver send what it has and end, and wait for that; it never raises and does nothing when the driver is gone."""
        self._quitting = True
        if self._connected.is_set() and not self._gone.is_set():
            with anyio.move_on_after(_QUIT_WITHIN_S):
                try:
                    await self._send(Quit())
                    await self._gone.wait()
                except NotReadyError:
                    return

    async def messages(self) -> AsyncIterator[Message]:
        """Evidence in the order the driver sent it; ends when the driver is gone, with a DriverFailed first if it was not told to quit."""
        while True:
            try:
                yield await self._messages.receive()
            except (anyio.EndOfStream, anyio.ClosedResourceError):
                return

    def close(self) -> None:
        """Give up what was kept for readers; run by `open_control`."""
        self._replies.close()
        self._messages.close()

    async def _send(self, command: Command) -> None:
        if self._stream is None or self._gone.is_set():
            raise NotReadyError(_GONE if self._gone.is_set() else "the load driver has not connected yet")
        try:
            with anyio.fail_after(_SEND_WITHIN_S):
                async with self._write:
                    await self._stream.send(encode_frame(command))
        except TimeoutError as error:
            await anyio.aclose_forcefully(self._stream)  # half a command may have gone out
            raise NotReadyError(
                f"the load driver took no command within {_SEND_WITHIN_S:g} s; is it stopped?"
            ) from error
        except (anyio.BrokenResourceError, anyio.ClosedResourceError) as error:
            raise NotReadyError(_GONE) from error

    async def _reply(self, expected: type[_Reply], within_s: float, otherwise: str) -> _Reply:
        with anyio.move_on_after(within_s + _REPLY_GRACE_S):
            async for reply in self._replies:
                if isinstance(reply, SetupFailed):
                    raise NotReadyError(reply.reason)
                if isinstance(reply, expected):
                    return reply
            raise NotReadyError(_GONE)
        raise NotReadyError(f"{otherwise} within {within_s:g} s")

    async def serve(self) -> None:
        """Take one driver's connection and sort what it says until it is gone. Run by `open_control`."""
        with self._replies_in, self._messages_in:
            try:
                self._stream = await self._listener.accept()
                async with self._stream:
                    self._connected.set()
                    await self._read(FrameReader(self._stream))
            finally:
                self._gone.set()

    async def _read(self, frames: FrameReader) -> None:
        while (payload := await frames.next()) is not None:
            try:
                report = decode_report(payload)
            except msgspec.MsgspecError as error:
                await self._messages_in.send(DriverFailed(reason=f"the load driver sent what cannot be read: {error}"))
                return
            await self._sort(report)
        if not self._quitting:
            await self._messages_in.send(
                DriverFailed(reason="the load driver ended before it was told to; its log says why")
            )

    async def _sort(self, report: Report) -> None:
        if isinstance(report, Ready | SetupFailed | Drained):
            await self._replies_in.send(report)
        else:
            await self._messages_in.send(report)


@asynccontextmanager
async def open_control(socket_path: Path | str) -> AsyncIterator[Control]:
    """Listen on a unix socket for one driver (`python -m chaos.workloads SOCKET`); the socket is gone when the block ends."""
    path = Path(socket_path)
    listener = await anyio.create_unix_listener(path, mode=0o600)
    control = Control(listener)
    try:
        async with listener, anyio.create_task_group() as group:
            group.start_soon(control.serve)
            try:
                yield control
            finally:
                group.cancel_scope.cancel()
    except (
        BaseExceptionGroup
    ) as failed:  # the group adds nothing: what the block raised is what its caller means to catch
        if len(failed.exceptions) > 1:
            raise
        raise failed.exceptions[0] from failed.exceptions[0].__cause__
    finally:
        control.close()
        path.unlink(missing_ok=True)  # noqa: ASYNC240 -- one system call on a local file system
