"""A framed proxy between two tees, in front of a real server: what went in must come out, and the wire log tells of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import pytest

from chaos.model.link import Protocol
from chaos.model.wire_record import WireRecord
from chaos.proxy import Options, Proxy, ProxySettings, Registry, open_registry
from chaos.system.ports import Address
from tests.listening import listening
from tests.proxy.wire_records import take_records

HANG_GUARD_S = 20.0


@dataclass
class Tee:
    """A relay that keeps what passes: for each connection, in order, the bytes of both directions. `steps`: in which order they came."""

    port: int = 0
    steps: list[tuple[str, bytes]] = field(default_factory=list)
    seen: list[tuple[bytearray, bytearray]] = field(default_factory=list)


@asynccontextmanager
async def open_tee(host: str, port: int) -> AsyncIterator[Tee]:
    """A tee in front of that address."""
    tee = Tee()

    async def copy(way: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, kept: bytearray) -> None:
        try:
            while data := await reader.read(65_536):
                kept += data
                tee.steps.append((way, data))
                writer.write(data)
                await writer.drain()
            writer.write_eof()
        except OSError:
            writer.transport.abort()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        kept = (bytearray(), bytearray())
        tee.seen.append(kept)
        onward_reader, onward_writer = await asyncio.open_connection(host, port)
        try:
            await asyncio.gather(copy(">", reader, onward_writer, kept[0]), copy("<", onward_reader, writer, kept[1]))
        finally:
            onward_writer.close()
            writer.close()

    async with listening(relay) as server:
        tee.port = server.port
        yield tee


@dataclass
class Teed:
    """The proxy between its tees; connect to `address`."""

    registry: Registry
    proxy: Proxy
    before: Tee
    behind: Tee

    @property
    def address(self) -> Address:
        """Where clients connect."""
        return Address("127.0.0.1", self.before.port)

    async def records(self) -> list[WireRecord]:
        """All records, once every connection is gone."""
        async with asyncio.timeout(HANG_GUARD_S):
            while self.proxy.connections() or any(tee.seen == [] for tee in (self.before, self.behind)):
                await asyncio.sleep(0.001)
        return take_records(self.registry.server)

    def assert_untouched(self) -> None:
        """Every connection's bytes are the same on both sides."""
        assert self.before.seen == self.behind.seen


TeedMaker = Callable[[Protocol, Address], Awaitable[Teed]]


@pytest.fixture
async def teed_of() -> AsyncIterator[TeedMaker]:
    """A maker of framed proxies in front of a server."""
    async with AsyncExitStack() as stack:

        async def make(protocol: Protocol, server: Address) -> Teed:
            behind = await stack.enter_async_context(open_tee(server.host, server.port))
            registry = await stack.enter_async_context(open_registry(Options()))
            upstream = f"127.0.0.1:{behind.port}"
            settings = ProxySettings(name="a>b", listen="127.0.0.1:0", upstream=upstream, protocol=protocol)
            proxy = await registry.create(settings)
            host, _, port = proxy.listen.rpartition(":")
            before = await stack.enter_async_context(open_tee(host, int(port)))
            return Teed(registry, proxy, before, behind)

        yield make
