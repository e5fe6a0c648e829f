"""A relay in front of a real server, on the test's own loop: it can fall silent, cut, and count connections."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

__all__ = ["Through", "through"]


class Through:
    """Bytes both ways. While `mute` nothing comes back; `heard` is set once something was sent meanwhile."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self.port = 0
        self.mute = False
        self.heard = asyncio.Event()
        self.connections = 0
        self._pipes: set[asyncio.Task[None]] = set()
        self._callers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def up(self) -> None:
        """Listen, on the same port as before."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def down(self, *, reset: bool = False) -> None:
        """Refuse, and cut what is open."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self.cut(reset=reset)
        await asyncio.gather(*self._pipes, return_exceptions=True)

    def cut(self, *, reset: bool = False) -> None:
        """End every connection."""
        for writer in self._callers:
            if reset:
                with contextlib.suppress(OSError):
                    sock = writer.get_extra_info("socket")
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        for pipe in self._pipes:
            pipe.cancel()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._relay(reader, writer))
        self._pipes.add(task)
        task.add_done_callback(self._pipes.discard)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._callers.add(writer)
        try:
            up_reader, up_writer = await asyncio.open_connection(*self._target)
            try:
                done, rest = await asyncio.wait(
                    [
                        asyncio.ensure_future(self._pump(reader, up_writer, back=False)),
                        asyncio.ensure_future(self._pump(up_reader, writer, back=True)),
                    ],
                    return_when=asyncio.FIRST_COMPLETED,
                )
                for one in rest:
                    one.cancel()
                await asyncio.gather(*done, *rest, return_exceptions=True)
            finally:
                up_writer.transport.abort()
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._callers.discard(writer)
            writer.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, back: bool) -> None:
        while data := await reader.read(65_536):
            if self.mute:
                if not back:
                    self.heard.set()
                continue
            writer.write(data)
            await writer.drain()


@asynccontextmanager
async def through(target: tuple[str, int]) -> AsyncIterator[Through]:
    """A relay that is up."""
    relay = Through(target)
    await relay.up()
    try:
        yield relay
    finally:
        await relay.down()
