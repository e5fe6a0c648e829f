"""A relay in front of a real server, on the test's own loop: it can fall silent, cut, and count connections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.listening import Listening

__all__ = ["Through", "through"]


class Through:
    """Bytes both ways. While `mute` nothing comes back; `heard` is set once something was sent meanwhile."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self.mute = False
        self.heard = asyncio.Event()
        self._server = Listening(self._relay)

    @property
    def port(self) -> int:
        """Where it listens; the same while it is down."""
        return self._server.port

    @property
    def connections(self) -> int:
        """How many there were so far."""
        return self._server.connections

    async def up(self) -> None:
        """Listen, on the same port as before."""
        await self._server.up()

    async def down(self, *, reset: bool = False) -> None:
        """Refuse, and cut what is open."""
        if reset:
            self._server.reset()
        await self._server.down()

    async def cut(self, *, reset: bool = False) -> None:
        """End every connection."""
        if reset:
            self._server.reset()
        await self._server.cut()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection(*self._target)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(reader, up_writer, back=False))
                group.create_task(self._pump(up_reader, writer, back=True))
        except* OSError:
            pass  # whichever side ended ends the other one
        finally:
            up_writer.transport.abort()
            writer.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, back: bool) -> None:
        while data := await reader.read(65_536):
            if self.mute:
                if not back:
                    self.heard.set()
                continue
            writer.write(data)
            await writer.drain()
        raise ConnectionResetError


@asynccontextmanager
async def through(target: tuple[str, int]) -> AsyncIterator[Through]:
    """A relay that is up."""
    relay = Through(target)
    await relay.up()
    try:
        yield relay
    finally:
        await relay.down()
