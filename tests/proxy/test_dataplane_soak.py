"""A hundred thousand connects: descriptors, connections, timers and memory of the proxy's process return to where they were."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import psutil
import pytest

from tests.proxy.api_rig import echo_server

AT_ONCE = 20
WITHIN_S = 20.0
#: What an allocator may keep of a peak; a leak of 100 bytes a connection is above it in the long run.
SLACK_BYTES = 6 * 1024 * 1024
ENDINGS = ("fin", "rst", "half-close", "silent")


@asynccontextmanager
async def program() -> AsyncIterator[tuple[psutil.Process, httpx.AsyncClient]]:
    """The proxy as a process of its own, and a client of its API."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "chaos.proxy", "-host", "127.0.0.1", "-port", "0",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        async with asyncio.timeout(WITHIN_S):
            port = json.loads(await process.stdout.readline())["port"]
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=WITHIN_S) as api:
            yield psutil.Process(process.pid), api
    finally:
        process.kill()
        await process.communicate()


async def visit(port: int, ending: str) -> None:
    """One connection: a byte there and (unless a toxic ends it) back, and one of the endings."""
    async with asyncio.timeout(WITHIN_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            if ending != "silent":
                writer.write(b"x")
                await reader.read(1)
            if ending == "half-close":
                writer.write_eof()
                await reader.read()
            elif ending == "rst":
                writer.transport.abort()
        except ConnectionResetError:
            pass
        finally:
            writer.close()


async def visits(port: int, count: int) -> None:
    """So many, some at once, ending in turns."""
    for start in range(0, count, AT_ONCE):
        await asyncio.gather(
            *(visit(port, ENDINGS[i % len(ENDINGS)]) for i in range(start, min(start + AT_ONCE, count)))
        )


async def quiet(api: httpx.AsyncClient) -> dict[str, Any]:
    """The status once no connection is left."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            status: dict[str, Any] = (await api.get("/chaos/status")).json()
            if not status["proxies"][0]["connections"]:
                return status
            await asyncio.sleep(0.01)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("connects", [3_000, pytest.param(100_000, marks=pytest.mark.repeat)])
async def test_connects_leave_nothing_behind(connects: int) -> None:
    """With toxics that delay, cut and redraw, on an HTTP link with its wire log read by nobody but bounded."""
    async with program() as (process, api), echo_server() as upstream:
        made = await api.post("/proxies", json={"name": "p", "listen": "127.0.0.1:0", "upstream": upstream})
        port = int(made.json()["listen"].rpartition(":")[2])
        for toxic in (
            {"type": "latency", "stream": "both", "attributes": {"latency_us": 200}, "toxicity": 0.5},
            {"type": "limit_data", "attributes": {"bytes": 1}, "toxicity": 0.3},
            {"type": "reset", "count": {"every": 7}, "per": "link"},
        ):
            assert (await api.post("/proxies/p/toxics", json=toxic)).status_code == 200
        async with api.stream("GET", "/chaos/wire") as wire:
            reading = asyncio.create_task(drain(wire))
            await visits(port, 1_000)
            await quiet(api)
            descriptors, threads, memory = process.num_fds(), process.num_threads(), process.memory_info().rss
            await visits(port, connects)
            status = await quiet(api)
            grown = process.memory_info().rss - memory
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
        assert status["proxies"][0]["connections_total"] == connects + 1_000
        assert process.num_fds() <= descriptors
        assert process.num_threads() <= threads
        assert grown < SLACK_BYTES


async def drain(wire: httpx.Response) -> None:
    """Read the wire log, so that it is not what grows."""
    async for _ in wire.aiter_raw():
        pass
