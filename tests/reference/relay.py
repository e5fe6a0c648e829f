"""A link of the backend under test: a small TCP relay that can refuse, hang, cut, answer itself, edit, and overhear."""

from __future__ import annotations

import asyncio
import contextlib
import re
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from chaos.system import reserve_port
from tests.listening import Listening

T = TypeVar("T")
Edit = Callable[[bytes], bytes]
"""Edits what a read has given. Raising ConnectionResetError resets the connection instead of passing anything on."""


class Relay:
    """One link: bytes both ways. `mode` is pass, refuse (port closed), hang (bytes swallowed) or mute (no answers).

    `edit_sent` and `edit_received` see the bytes of every connection, on the relay's loop.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, target: tuple[str, int]) -> None:
        self._loop = loop
        self._target = target
        self._hold = reserve_port()
        self.address = self._hold.address
        self.mode = "pass"
        self.sent = bytearray()
        self.received = bytearray()
        self.edit_sent: Edit | None = None
        self.edit_received: Edit | None = None
        self._server = Listening(self._accept, *self.address)
        self._canned = b""
        self._times: int | None = None
        self._open = asyncio.Event()
        self._open.set()
        self._lose = b""
        self._losses_left = 0
        self._losing: set[asyncio.Task[None]] = set()
        self._stranded: set[asyncio.Task[None]] = set()
        self._closed = threading.Event()
        self.call(self._server.up())

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run on the relay's loop from the test's thread."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def fault(self, mode: str) -> None:
        """Change the mode; `refuse` resets live connections as well."""
        self.mode = mode
        if mode == "refuse":
            self.call(self._server.down())

    def answer(
        self,
        status: int,
        body: bytes = b"",
        content_type: str = "text/plain",
        *,
        times: int | None = None,
        **headers: str,
    ) -> None:
        """Answer requests on new connections with this instead of passing them on: all, or so many."""
        lines = [f"HTTP/1.1 {status} Canned", f"Content-Length: {len(body)}", f"Content-Type: {content_type}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self._canned = "\r\n".join([*lines, "Connection: close", "", ""]).encode() + body
        self._times = times
        self.mode = "answer"
        self.cut()

    def lose_reply(self, request: bytes, *, times: int = 1) -> None:
        """Reset the connections of the next requests with these bytes when the reply comes: it has been done by then."""
        self._lose, self._losses_left = request, times

    def hold(self) -> None:
        """Keep everything back, unchanged and in order, until `release`."""
        self._loop.call_soon_threadsafe(self._open.clear)

    def release(self) -> None:
        """Let go what was held."""
        self._loop.call_soon_threadsafe(self._open.set)

    def strand(self) -> None:
        """Leave every live connection half open for good: neither side hears of the other again, and none is closed."""
        self._stranded |= set(self._server.open)

    def inject(self, data: bytes) -> None:
        """Say this to the caller on every live connection."""
        self.call(self._inject(data))

    def heal(self) -> None:
        """Back to passing; connections that lost bytes are reset."""
        if self.mode == "refuse":
            self.mode = "pass"
        elif self.mode != "pass":
            self.mode = "pass"
            self.cut()
        self.edit_sent = self.edit_received = None
        self._losses_left = 0
        self.release()
        self.call(self._server.up())
        self.sent.clear()
        self.received.clear()

    def cut(self) -> None:
        """Reset every live connection."""
        self.call(self._server.cut())

    async def sees(self, what: bytes, *, times: int = 1) -> None:
        """Wait until the caller has sent these bytes so many times since the last `heal`."""
        async with asyncio.timeout(30):
            while bytes(self.sent).count(what) < times:
                await asyncio.sleep(0.02)

    def watch_close(self) -> threading.Event:
        """An event that is set when the caller closes the next connection it opens or uses."""
        self._closed = threading.Event()
        return self._closed

    def requests(self) -> list[dict[str, str]]:
        """Headers of the HTTP requests the caller has sent on this link, by lower-case name."""
        heads = re.findall(rb"(?:POST|GET) \S+ HTTP/1\.1\r\n(.*?)\r\n\r\n", bytes(self.sent), re.DOTALL)
        return [
            {name.lower(): value for name, value in (line.split(": ", 1) for line in head.decode().split("\r\n"))}
            for head in heads
        ]

    async def close(self) -> None:
        await self._server.down()
        self._hold.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        try:
            if self.mode == "answer" and self._times != 0:
                self._times = None if self._times is None else self._times - 1
                await self._answer(reader, writer)
            else:
                await self._connect(reader, writer)
        finally:
            self._stranded.discard(task)
            self._losing.discard(task)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head.lower())
            self.sent += head + await reader.readexactly(int(length[1]) if length else 0)
            writer.write(self._canned)
            await writer.drain()

    async def _inject(self, data: bytes) -> None:
        for writer in self._server.open.values():
            writer.write(data)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream_reader, upstream_writer = await asyncio.open_connection(*self._target)
        connection = asyncio.current_task()
        assert connection is not None
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump_requests(connection, reader, upstream_writer))
                group.create_task(self._pump_replies(connection, upstream_reader, writer))
        except* OSError:
            pass
        finally:
            upstream_writer.transport.abort()
            writer.transport.abort()

    async def _pump_requests(
        self, connection: asyncio.Task[None], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while data := await reader.read(65536):
            self.sent += data
            await self._open.wait()
            if self._losses_left and self._lose in data:
                self._losses_left -= 1
                self._losing.add(connection)
            if self.mode != "hang" and connection not in self._stranded:
                writer.write(self.edit_sent(data) if self.edit_sent else data)
                await writer.drain()
        self._closed.set()
        await _at_end(writer)

    async def _pump_replies(
        self, connection: asyncio.Task[None], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while data := await reader.read(65536):
            self.received += data
            await self._open.wait()
            if connection in self._losing:
                raise ConnectionResetError
            if self.mode not in ("hang", "mute") and connection not in self._stranded:
                writer.write(self.edit_received(data) if self.edit_received else data)
                await writer.drain()
        await _at_end(writer)


async def _at_end(writer: asyncio.StreamWriter) -> None:
    """One direction is at its end: a process that died or closed ends the other one, too."""
    if writer.can_write_eof():
        writer.write_eof()
    raise ConnectionResetError
