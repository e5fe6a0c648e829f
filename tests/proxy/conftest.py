"""A registry and plain sockets round it: what the data plane's tests are driven with."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import msgspec
import pytest

from chaos.model.link import Protocol
from chaos.model.wire_record import WireRecord
from chaos.proxy import Options, Proxy, ProxySettings, Registry, ToxicSpec, open_registry
from tests.proxy.wire_records import take_records

Handler = Callable[["Peer"], Awaitable[None]]
HANG_GUARD_S = 20.0


class Peer:
    """One end of a connection as a raw socket; every wait has a deadline that only a hang meets."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        sock.setblocking(False)
        self._loop = asyncio.get_running_loop()

    async def send(self, data: bytes) -> None:
        async with asyncio.timeout(HANG_GUARD_S):
            await self._loop.sock_sendall(self.sock, data)

    async def recv(self, size: int = 65536) -> bytes:
        async with asyncio.timeout(HANG_GUARD_S):
            return await self._loop.sock_recv(self.sock, size)

    async def exactly(self, size: int) -> bytes:
        got = b""
        while len(got) < size:
            chunk = await self.recv(size - len(got))
            assert chunk, f"the stream ended after {len(got)} of {size} bytes"
            got += chunk
        return got

    async def rest(self) -> bytes:
        got = b""
        while chunk := await self.recv():
            got += chunk
        return got

    async def ending(self) -> str:
        """How the stream ends: `fin` or `rst`; whatever comes before is dropped."""
        try:
            await self.rest()
        except ConnectionResetError:
            return "rst"
        return "fin"

    def half_close(self) -> None:
        self.sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self.sock.close()

    def reset(self) -> None:
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


@dataclass
class Upstream:
    """A server on a port of its own. `peers` are the connections it accepted, in order."""

    port: int
    peers: list[Peer] = field(default_factory=list)
    arrived: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def peer(self, number: int = 1) -> Peer:
        """The n-th connection, once it is there."""
        async with asyncio.timeout(HANG_GUARD_S), self.arrived:
            await self.arrived.wait_for(lambda: len(self.peers) >= number)
        return self.peers[number - 1]


async def echo(peer: Peer) -> None:
    """Send back what comes, then the end."""
    while data := await peer.recv():
        await peer.send(data)
    peer.half_close()


async def silent(peer: Peer) -> None:
    """Leave the connection to the test."""


@asynccontextmanager
async def serve(handler: Handler) -> AsyncIterator[Upstream]:
    """An upstream that gives each connection to the handler."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=2048)
    listening.setblocking(False)
    upstream = Upstream(listening.getsockname()[1])
    tasks: set[asyncio.Task[None]] = set()

    async def handle(peer: Peer) -> None:
        try:
            await handler(peer)
        except OSError:
            peer.close()

    async def accept() -> None:
        while True:
            sock, _ = await asyncio.get_running_loop().sock_accept(listening)
            peer = Peer(sock)
            async with upstream.arrived:
                upstream.peers.append(peer)
                upstream.arrived.notify_all()
            task = asyncio.create_task(handle(peer))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    accepting = asyncio.create_task(accept())
    try:
        yield upstream
    finally:
        accepting.cancel()
        for task in tasks:
            task.cancel()
        await asyncio.gather(accepting, *tasks, return_exceptions=True)
        for peer in upstream.peers:
            peer.close()
        listening.close()


@dataclass
class Rig:
    """One proxy in front of one upstream."""

    registry: Registry
    proxy: Proxy
    upstream: Upstream
    clients: list[Peer] = field(default_factory=list)

    async def connect(self) -> Peer:
        """A client through the proxy. Raises ConnectionRefusedError."""
        host, _, port = self.proxy.listen.rpartition(":")
        sock = socket.socket()
        sock.setblocking(False)
        try:
            async with asyncio.timeout(HANG_GUARD_S):
                await asyncio.get_running_loop().sock_connect(sock, (host, int(port)))
        except BaseException:
            sock.close()
            raise
        peer = Peer(sock)
        self.clients.append(peer)
        return peer

    async def pair(self) -> tuple[Peer, Peer]:
        """A client and its upstream side, joined."""
        client = await self.connect()
        return client, await self.upstream.peer(len(self.clients))

    def toxic(self, type_: str, stream: str = "downstream", **attributes: int) -> str:
        """Add a toxic; its name."""
        return self.proxy.add_toxic(ToxicSpec(type=type_, stream=stream, attributes=attributes)).name

    def wire(self) -> list[WireRecord]:
        """All wire records since the last call."""
        return take_records(self.registry.server)

    async def settled(self, connections: int = 0) -> None:
        """Until only so many connections are left and no dial is under way."""
        async with asyncio.timeout(HANG_GUARD_S):
            while len(self.proxy.connections()) > connections or self.registry.server.tasks:
                await asyncio.sleep(0.001)


RigMaker = Callable[..., Awaitable[Rig]]


@pytest.fixture
async def rig_of() -> AsyncIterator[RigMaker]:
    """A maker of rigs, each with its handler, protocol and options."""
    async with AsyncExitStack() as stack:

        async def make(handler: Handler = echo, *, protocol: Protocol | None = None, **options: object) -> Rig:
            upstream = await stack.enter_async_context(serve(handler))
            registry = await stack.enter_async_context(open_registry(msgspec.convert(options, Options)))
            proxy = await registry.create(
                ProxySettings(name="a>b", listen="127.0.0.1:0", upstream=upstream.address, protocol=protocol)
            )
            rig = Rig(registry, proxy, upstream)
            stack.callback(lambda: [client.close() for client in rig.clients])
            return rig

        yield make


@pytest.fixture
async def rig(rig_of: RigMaker) -> Rig:
    """A proxy in front of an echo server."""
    return await rig_of(echo)


@pytest.fixture
async def open_rig(rig_of: RigMaker) -> Rig:
    """A proxy whose upstream side is left to the test."""
    return await rig_of(silent)
