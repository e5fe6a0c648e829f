"""The same probes of the byte stream through ours (strict) and through a real Toxiproxy: what arrives, and how it ends."""

# ruff: noqa: D103 - probes are named by what they probe

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from chaos.proxy import Options, open_registry
from chaos.proxy.api import ControlApi, serve_http
from tests.listening import listening
from tests.real_toxiproxy import MISSING, find_real_server

HANG_GUARD_S = 20.0
QUIET_S = 0.15


class Stream:
    """One side of a connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def rest(self) -> tuple[bytes, str]:
        """What comes until the end, and the end."""
        got = b""
        try:
            async with asyncio.timeout(HANG_GUARD_S):
                while data := await self.reader.read(65536):
                    got += data
        except ConnectionResetError:
            return got, "rst"
        return got, "eof"

    async def exactly(self, size: int) -> bytes:
        async with asyncio.timeout(HANG_GUARD_S):
            return await self.reader.readexactly(size)

    async def quiet(self) -> bool:
        """Whether nothing comes for a while."""
        try:
            async with asyncio.timeout(QUIET_S):
                await self.reader.read(1)
        except TimeoutError:
            return True
        return False


class Bench:
    """A proxy of either server, driven over its API; each pair is a new connection through it."""

    def __init__(self, http: httpx.AsyncClient, listen: str, accepted: asyncio.Queue[Stream]) -> None:
        self.http = http
        self.listen = listen
        self.accepted = accepted
        self.writers: list[asyncio.StreamWriter] = []

    async def pair(self) -> tuple[Stream, Stream]:
        """Client and upstream side, a byte exchanged each way."""
        host, _, port = self.listen.rpartition(":")
        client = Stream(*await asyncio.open_connection(host, int(port)))
        upstream = await asyncio.wait_for(self.accepted.get(), HANG_GUARD_S)
        self.writers += [client.writer, upstream.writer]
        await client.send(b"?")
        await upstream.exactly(1)
        await upstream.send(b"!")
        await client.exactly(1)
        return client, upstream

    async def toxic(self, type_: str, stream: str = "downstream", **attributes: int) -> str:
        body = {"type": type_, "name": "t", "stream": stream, "attributes": attributes}
        (await self.http.post("/proxies/p/toxics", json=body)).raise_for_status()
        return "/proxies/p/toxics/t"

    async def update(self, path: str, **attributes: int) -> None:
        (await self.http.post(path, json={"attributes": attributes})).raise_for_status()

    async def remove(self, path: str) -> None:
        (await self.http.delete(path)).raise_for_status()


Probe = Callable[[Bench], Awaitable[Any]]


async def half_close(bench: Bench) -> Any:
    client, upstream = await bench.pair()
    await client.send(b"req")
    client.writer.write_eof()
    return await upstream.rest(), await client.rest()


async def stall_and_heal(bench: Bench) -> Any:
    client, upstream = await bench.pair()
    path = await bench.toxic("bandwidth", rate=0)
    await upstream.send(b"payload")
    quiet = await client.quiet()
    await bench.remove(path)
    healed = await client.exactly(7)
    await upstream.send(b"more")
    return quiet, healed, await client.exactly(4)


async def latency_removed(bench: Bench) -> Any:
    client, upstream = await bench.pair()
    path = await bench.toxic("latency", latency=100_000)
    await upstream.send(b"in flight")
    quiet = await client.quiet()
    await bench.remove(path)
    return quiet, await client.exactly(9)


async def latency_leaves_a_fin_alone(bench: Bench) -> Any:
    client, upstream = await bench.pair()
    await bench.toxic("latency", latency=100_000)
    upstream.writer.close()
    return await client.rest()


async def timeout_removed(bench: Bench) -> Any:
    client, upstream = await bench.pair()
    path = await bench.toxic("timeout", timeout=0)
    await upstream.send(b"swallowed")
    await client.send(b"up")
    passed, quiet = await upstream.exactly(2), await client.quiet()
    await bench.remove(path)
    return passed, quiet, await client.rest(), await upstream.rest()


async def timeout_after_silence(bench: Bench) -> Any:
    client, _ = await bench.pair()
    await bench.toxic("timeout", timeout=30)
    return await client.rest()


async def limit_in_parts(bench: Bench) -> Any:
    client, upstream = await bench.pair()
    await bench.toxic("limit_data", bytes=10)
    await upstream.send(b"0123456")
    first = await client.exactly(7)
    await upstream.send(b"789abc")
    return first, await client.rest()


async def limit_updated(bench: Bench) -> Any:
    client, upstream = await bench.pair()
    path = await bench.toxic("limit_data", bytes=10)
    await upstream.send(b"1234")
    first = await client.exactly(4)
    await bench.update(path, bytes=6)
    await upstream.send(b"5678")
    return first, await client.rest()


async def limit_lowered(bench: Bench) -> Any:
    client, upstream = await bench.pair()
    path = await bench.toxic("limit_data", bytes=10)
    await upstream.send(b"12345678")
    first = await client.exactly(8)
    await bench.update(path, bytes=5)
    quiet = await client.quiet()
    await upstream.send(b"9")
    return first, quiet, await client.rest()


async def limit_of_nothing(bench: Bench) -> Any:
    client, upstream = await bench.pair()
    await bench.toxic("limit_data", bytes=0)
    quiet = await client.quiet()
    await upstream.send(b"x")
    return quiet, await client.rest()


async def reset_of_a_new_connection(bench: Bench) -> Any:
    await bench.toxic("reset_peer", "upstream", timeout=0)
    host, _, port = bench.listen.rpartition(":")
    client = Stream(*await asyncio.open_connection(host, int(port)))
    bench.writers.append(client.writer)
    quiet = await client.quiet()
    await client.send(b"x")
    return quiet, (await client.rest())[1]


async def slow_close_removed(bench: Bench) -> Any:
    client, upstream = await bench.pair()
    path = await bench.toxic("slow_close", delay=100_000)
    await upstream.send(b"bye")
    upstream.writer.close()
    data, quiet = await client.exactly(3), await client.quiet()
    await bench.remove(path)
    return data, quiet, await client.rest()


async def sliced(bench: Bench) -> Any:
    client, upstream = await bench.pair()
    await bench.toxic("slicer", average_size=8, size_variation=4, delay=100)
    data = bytes(range(256)) * 4
    await upstream.send(data)
    return await client.exactly(len(data)) == data


async def disabled(bench: Bench) -> Any:
    client, upstream = await bench.pair()
    (await bench.http.post("/proxies/p", json={"enabled": False})).raise_for_status()
    return await client.rest(), await upstream.rest()


async def upstream_resets(bench: Bench) -> Any:
    client, upstream = await bench.pair()
    upstream.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    upstream.writer.transport.abort()
    return await client.rest()


PROBES: tuple[Probe, ...] = (
    half_close, stall_and_heal, latency_removed, latency_leaves_a_fin_alone, timeout_removed, timeout_after_silence,
    limit_in_parts, limit_updated, limit_lowered, limit_of_nothing, reset_of_a_new_connection, slow_close_removed,
    sliced, disabled, upstream_resets,
)  # fmt: skip


@asynccontextmanager
async def driven(http: httpx.AsyncClient) -> AsyncIterator[Bench]:
    """A proxy named `p` on that server, in front of an upstream of ours."""
    accepted: asyncio.Queue[Stream] = asyncio.Queue()

    async def hand_over(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.put_nowait(Stream(reader, writer))
        await asyncio.Event().wait()  # it is the probe's until the end

    async with listening(hand_over) as upstream:
        body = {"name": "p", "listen": "127.0.0.1:0", "upstream": upstream.address}
        made = (await http.post("/proxies", json=body)).raise_for_status()
        bench = Bench(http, made.json()["listen"], accepted)
        try:
            yield bench
        finally:
            await http.delete("/proxies/p")
            for writer in bench.writers:
                writer.transport.abort()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()


@asynccontextmanager
async def ours() -> AsyncIterator[httpx.AsyncClient]:
    """Our server, strict."""
    async with (
        open_registry(Options(strict=True)) as registry,
        serve_http(ControlApi(registry, loopback_only=True), "127.0.0.1", 0) as (host, port),
        httpx.AsyncClient(base_url=f"http://{host}:{port}", timeout=HANG_GUARD_S) as http,
    ):
        yield http


@asynccontextmanager
async def real() -> AsyncIterator[httpx.AsyncClient]:
    """A real server."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    argv = [str(find_real_server()), "-host", "127.0.0.1", "-port", str(port)]
    process = await asyncio.create_subprocess_exec(*argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=HANG_GUARD_S) as http:
            async with asyncio.timeout(HANG_GUARD_S):
                while True:
                    try:
                        await http.get("/version")
                        break
                    except httpx.TransportError:
                        await asyncio.sleep(0.02)
            yield http
    finally:
        process.terminate()
        await process.wait()


@pytest.mark.skipif(find_real_server() is None, reason=MISSING)
async def test_strict_streams_are_those_of_toxiproxy() -> None:
    """Probe by probe: the same bytes, the same ends."""
    async with ours() as our_http, real() as real_http:
        for probe in PROBES:
            async with driven(our_http) as bench:
                seen = await probe(bench)
            async with driven(real_http) as bench:
                expected = await probe(bench)
            assert seen == expected, probe.__name__
