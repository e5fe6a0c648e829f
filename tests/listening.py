"""A server on the test's own loop, of which nothing is left when the test has ended: no task, no transport, no socket."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from chaos.proxy.api.transport import stop_accepting

__all__ = ["Listening", "Serve", "assert_ended", "echo", "listening", "reset"]

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
"""Serves one connection. A peer that goes away ends it quietly; any other error ends the test."""

_HANG_S = 30.0


def reset(writer: asyncio.StreamWriter) -> None:
    """End a connection with RST."""
    with contextlib.suppress(OSError):  # closed already
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def assert_ended(client: socket.socket) -> None:
    """The other side of this connection has ended it: nothing more comes."""
    with client:
        client.settimeout(_HANG_S)
        with contextlib.suppress(ConnectionResetError):  # where the kernel had it still
            assert client.recv(1) == b""


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send back what comes, until it ends."""
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()


class Listening:
    """A server that can go away and come back on the same port.

    `connections`: how many it was given so far. `open`: those it has now, each with the task that serves it.
    """

    def __init__(self, serve: Serve, host: str = "127.0.0.1", port: int = 0, *, path: Path | str | None = None) -> None:
        self.host = host
        self.port = port
        self.connections = 0
        self._serve = serve
        self._path = path
        self._server: asyncio.Server | None = None
        self.open: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._failed: list[BaseException] = []

    @property
    def address(self) -> str:
        """`host:port`, `[v6]:port` or `unix:PATH`."""
        if self._path is not None:
            return f"unix:{self._path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    async def up(self) -> None:
        """Listen; on the same port as before."""
        if self._server is not None:
            return
        if self._path is not None:
            self._server = await asyncio.start_unix_server(self._accept, self._path)
            return
        self._server = await asyncio.start_server(self._accept, self.host, self.port, reuse_address=True)
        self.port = self._server.sockets[0].getsockname()[1]

    async def down(self) -> None:
        """Refuse, and end what is open, with all that belongs to it."""
        server, self._server = self._server, None
        if server is not None:
            await stop_accepting(server)
        await self.cut()
        if server is not None:
            await server.wait_closed()

    async def cut(self) -> None:
        """End every connection that is open; the server stays."""
        open_now = dict(self.open)
        for task in open_now:
            task.cancel()
        if open_now:
            await asyncio.wait(open_now)
        async with asyncio.timeout(_HANG_S):
            for writer in open_now.values():
                writer.transport.abort()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()

    def reset(self) -> None:
        """RST on every connection that is open; those who serve them notice it themselves."""
        for writer in self.open.values():
            reset(writer)

    def raise_what_failed(self) -> None:
        """Raise the first error of a connection that was not its peer's going away."""
        if self._failed:
            raise self._failed[0]

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A task and a writer that are known from the first moment: one that is cancelled before its first step closes nothing itself.
        self.connections += 1
        task = asyncio.ensure_future(self._connection(reader, writer))
        self.open[task] = writer
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self.open.pop(task).transport.abort()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._serve(reader, writer)
            writer.close()
            # Shielded: cancelled, it would cancel the future that `cut` waits for, too.
            await asyncio.shield(writer.wait_closed())
        except (OSError, asyncio.IncompleteReadError):
            writer.transport.abort()
        except Exception as error:  # noqa: BLE001 - raised when the test has ended
            self._failed.append(error)


@asynccontextmanager
async def listening(
    serve: Serve, host: str = "127.0.0.1", port: int = 0, *, path: Path | str | None = None
) -> AsyncIterator[Listening]:
    """A server that is up. Raises what a connection failed with, but for its peer's going away."""
    server = Listening(serve, host, port, path=path)
    await server.up()
    try:
        yield server
    finally:
        await server.down()
    server.raise_what_failed()
