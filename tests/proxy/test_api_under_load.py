"""The API beside traffic: nothing a peer does or leaves undone makes a call wait, and nothing is left behind."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import httpx
import pytest

from chaos.proxy.api import ControlApi, serve_http
from chaos.proxy.registry import Registry, open_registry
from tests.listening import listening

WITHIN_S = 30.0
STREAMS = 40
DESCRIPTORS = Path("/proc/self/fd")


@asynccontextmanager
async def firehose() -> AsyncIterator[str]:
    """An upstream that sends without end to whoever connects."""

    async def pour(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while not writer.is_closing():
            writer.write(b"x" * 65_536)
            await writer.drain()

    async with listening(pour) as server:
        yield server.address


@asynccontextmanager
async def proxied() -> AsyncIterator[tuple[httpx.AsyncClient, Registry]]:
    """A client of an API with proxy `p` before a firehose, and connections that stream: half of them never read."""
    async with (
        firehose() as upstream,
        open_registry() as registry,
        serve_http(ControlApi(registry), "127.0.0.1", 0) as (host, port),
        httpx.AsyncClient(base_url=f"http://{host}:{port}", timeout=WITHIN_S) as client,
    ):
        made = await client.post("/proxies", json={"name": "p", "listen": "127.0.0.1:0", "upstream": upstream})
        async with streaming(made.json()["listen"]):
            with anyio.fail_after(WITHIN_S):
                while len(registry.get("p").connections()) < STREAMS or registry.server.tasks:
                    await client.get("/version")  # until every upstream is dialled
            yield client, registry


@asynccontextmanager
async def streaming(listen: str) -> AsyncIterator[None]:
    """Open connections; every other one is read, the rest fill up and stand still."""
    host, _, port = listen.rpartition(":")
    pairs = [await asyncio.open_connection(host, int(port)) for _ in range(STREAMS)]

    async def read(reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(OSError):
            while await reader.read(65_536):
                pass

    readers = [asyncio.ensure_future(read(reader)) for reader, _ in pairs[::2]]
    try:
        yield
    finally:
        for task in readers:
            task.cancel()
        await asyncio.gather(*readers, return_exceptions=True)
        for _, writer in pairs:
            writer.transport.abort()


def descriptors() -> int:
    """How many this process has open."""
    return len(list(DESCRIPTORS.iterdir()))


@pytest.mark.skipif(not DESCRIPTORS.is_dir(), reason="counts descriptors in /proc")
async def test_toxics_come_and_go_beside_streams_that_nobody_reads() -> None:
    """Adding and removing every kind over and over is answered each time, and descriptors and tasks return to where they were."""
    kinds = ["latency", "bandwidth", "slicer", "slow_close", "noop"]
    async with proxied() as (client, registry):
        with anyio.fail_after(WITHIN_S):
            open_before, tasks = descriptors(), len(asyncio.all_tasks())
            for number in range(40):
                body = {"name": "t", "type": kinds[number % 5], "attributes": {"latency": 1000, "average_size": 20_000}}
                assert (await client.post("/proxies/p/toxics", json=body)).status_code == 200
                assert (await client.delete("/proxies/p/toxics/t")).status_code == 204
            assert descriptors() <= open_before
            assert len(asyncio.all_tasks()) <= tasks
        assert registry.get("p").toxics == ()


async def test_calls_in_parallel_are_all_answered() -> None:
    """Fifty calls at once of every sort, while connections stream."""
    async with proxied() as (client, _):
        calls = [
            client.get("/proxies"),
            client.post("/proxies/p", json={}),
            client.get("/chaos/status"),
            client.get("/chaos/connections"),
            client.post("/populate", json=[]),
            client.get("/proxies/p/toxics"),
        ]  # fmt: skip
        more = [client.get("/version") for _ in range(44)]
        with anyio.fail_after(WITHIN_S):
            answers = await asyncio.gather(*calls, *more)
        assert {answer.status_code for answer in answers} == {200, 201}


async def test_disable_and_delete_do_not_wait_for_peers() -> None:
    """A proxy whose peers stand still is disabled, enabled on the same port, reset and deleted all the same."""
    async with proxied() as (client, registry):
        listen = registry.get("p").listen
        with anyio.fail_after(WITHIN_S):
            await client.post("/proxies/p/toxics", json={"name": "t", "type": "bandwidth"})
            assert (await client.post("/proxies/p", json={"enabled": False})).json()["enabled"] is False
            assert (await client.post("/proxies/p", json={"enabled": True})).json()["listen"] == listen
            assert (await client.post("/reset")).status_code == 204
            assert (await client.delete("/proxies/p")).status_code == 204
            assert (await client.get("/proxies")).json() == {}


async def test_a_subscriber_that_does_not_read_holds_up_nobody() -> None:
    """The wire log of a reader that stands still is bounded and in nobody's way; when it leaves, it is forgotten."""
    async with proxied() as (client, registry):
        host, port = client.base_url.host, client.base_url.port
        assert port is not None
        _, writer = await asyncio.open_connection(host, port)
        writer.write(b"GET /chaos/wire HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await writer.drain()
        wire = registry.server.wire
        with anyio.fail_after(WITHIN_S):
            while not wire._subscriptions:
                await client.get("/version")
            for number in range(2000):
                wire.append((number, "touch", "l" * 2000))
            wire.flush()
            assert (await client.get("/chaos/status")).status_code == 200
            writer.transport.abort()
            while wire._subscriptions:
                await client.get("/version")
