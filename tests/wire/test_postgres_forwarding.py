"""A framed Postgres link forwards what it cannot frame as it is, and bulk COPY within bounded memory."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import asyncpg
import pytest

from chaos.model.link import Protocol
from chaos.proxy import Options, Proxy, ProxySettings, ToxicSpec, open_registry
from chaos.system import PostgresServer
from chaos.system.ports import Address
from tests.listening import listening
from tests.wire.postgres_messages import GSS, OPENED, SSL, STARTUP, WELCOME, Step, message, query

MIB = 1 << 20
HANG_GUARD_S = 30.0
NOISE = Random(5).randbytes(300_000)


@asynccontextmanager
async def scripted(steps: list[Step]) -> AsyncIterator[Address]:
    """A server that says its part of one conversation, each step once the one before is read."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await play(steps, "<", reader, writer)

    async with listening(serve) as server:
        yield Address(server.host, server.port)


async def play(steps: list[Step], role: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One side of the conversation."""
    async with asyncio.timeout(HANG_GUARD_S):
        for way, data in steps:
            if way == role:
                writer.write(data)
                await writer.drain()
            else:
                assert await reader.readexactly(len(data)) == data


@pytest.mark.parametrize(
    ("steps", "why"),
    [
        ([(">", SSL), ("<", b"S"), (">", NOISE), ("<", NOISE[::-1])], "tls"),
        ([(">", GSS), ("<", b"G"), (">", NOISE), ("<", NOISE[::-1])], "gssapi"),
        ([(">", b"\x16\x03\x01" + NOISE), ("<", NOISE)], "tls"),
        ([(">", b"GET / HTTP/1.1\r\n\r\n" + NOISE), ("<", NOISE)], ""),
        ([*OPENED, (">", b"?" + NOISE), ("<", NOISE)], ""),
        ([*OPENED, (">", query("SELECT 1")), ("<", b"D\0\0\0\3" + NOISE), (">", NOISE)], ""),
        ([(">", STARTUP), ("<", WELCOME + b"\xff" + NOISE), (">", query("SELECT 1") + NOISE)], ""),
        ([*OPENED, (">", b"Q\x7f\xff\xff\xff" + NOISE), ("<", message("E", b"SFATAL\0\0"))], ""),
    ],
    ids=["tls", "gssapi", "direct tls", "http", "noise asked", "bad length", "noise answered", "huge length"],
)
async def test_what_cannot_be_framed_is_forwarded_as_it_is(teed_of: Any, steps: list[Step], why: str) -> None:
    """Encrypted, garbage or another protocol: every byte passes in both directions, and the wire log says that it is raw."""
    async with scripted(steps) as address:
        teed = await teed_of(Protocol.POSTGRES, address)
        reader, writer = await asyncio.open_connection(teed.address.host, teed.address.port)
        await play(steps, ">", reader, writer)
        assert await reader.read() == b""
        writer.close()
        records = await teed.records()
    teed.assert_untouched()
    assert [row.status for row in records if row.kind == "raw"] == [why, why]


@asynccontextmanager
async def framed(server: PostgresServer) -> AsyncIterator[tuple[Proxy, str]]:
    """A framed link to the server, and the DSN that leads through it."""
    async with open_registry(Options()) as registry:
        settings = ProxySettings(
            name="a>b", listen="127.0.0.1:0", upstream=str(server.address), protocol=Protocol.POSTGRES
        )
        proxy = await registry.create(settings)
        host, _, port = proxy.listen.rpartition(":")
        yield proxy, server.dsn_through(Address(host, int(port))).reveal()


class Gauge:
    """The most that a connection's pipes, their stages, transports and framer kept, as seen by every chunk that came."""

    def __init__(self, proxy: Proxy) -> None:
        self.most = self.chunks = 0
        [self._connection] = proxy.connections()
        self._framer = self._connection.observer._framer
        for endpoint in (self._connection.client, self._connection.upstream):
            endpoint.data_received = self._seen(endpoint.data_received)

    def _seen(self, received: Any) -> Any:
        def seen(data: bytes) -> None:
            received(data)
            self.chunks += 1
            kept = len(self._framer.up.carry) + len(self._framer.down.carry)
            for pipe in (self._connection.up, self._connection.down):
                kept += pipe.held + (pipe.sink.get_write_buffer_size() if pipe.sink is not None else 0)
            self.most = max(self.most, kept)

        return seen


class Sink(io.RawIOBase):
    """Counts what is written to it."""

    def __init__(self) -> None:
        self.nbytes = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.nbytes += len(data)
        return len(data)


@pytest.mark.parametrize("faults", [False, True], ids=["no faults", "faults on others"])
@pytest.mark.parametrize("row_bytes", [500, 60_000, 20 * MIB])
async def test_bulk_copy_passes_within_bounded_memory(
    postgres_server: PostgresServer, row_bytes: int, faults: bool
) -> None:
    """Both ways, whatever the size of the rows, with and without message faults on the link: next to nothing is kept."""
    row = b"x" * row_bytes + b"\n"
    block = row * max(1, 65_536 // len(row))
    blocks = 60 * MIB // len(block)
    rows = blocks * (len(block) // len(row))

    async def source() -> AsyncIterator[bytes]:
        for _ in range(blocks):
            yield block

    async with framed(postgres_server) as (proxy, dsn), asyncio.timeout(2 * HANG_GUARD_S):
        connection = await asyncpg.connect(dsn, timeout=HANG_GUARD_S)
        gauge = Gauge(proxy)
        if faults:
            proxy.add_toxic(ToxicSpec(type="cut", phase="after", match="COMMIT"))
        await connection.execute("CREATE TEMP TABLE t (a text)")
        assert await connection.copy_to_table("t", source=source(), columns=["a"]) == f"COPY {rows}"
        sink = Sink()
        await connection.copy_from_query(
            f"SELECT repeat('y', {row_bytes}) FROM generate_series(1, {rows})", output=sink
        )
        assert sink.nbytes == rows * len(row)
        assert gauge.chunks > sink.nbytes // (64 * 1024)
        assert gauge.most <= 4 * 64 * 1024
        await connection.close(timeout=HANG_GUARD_S)
