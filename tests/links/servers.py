"""Proxies to control, of each kind, and an upstream behind them: what the suites of the control plane run over."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

import httpx
import pytest

from chaos.links import LinkControl, connect_embedded, connect_toxiproxy, embedded_proxy
from chaos.proxy.api import ControlApi, serve_http
from chaos.proxy.registry import open_registry
from tests.listening import echo as send_back
from tests.listening import listening
from tests.real_toxiproxy import MISSING, find_real_server

WITHIN_S = 20.0


@dataclass(frozen=True)
class Kind:
    """A kind of proxy: how it is started, and how it is controlled."""

    name: str
    serve: Callable[[], AbstractAsyncContextManager[str]]
    connect: Callable[[str], AbstractAsyncContextManager[LinkControl]]


@asynccontextmanager
async def in_this_process() -> AsyncIterator[str]:
    """Our proxy on this loop."""
    async with open_registry() as registry, serve_http(ControlApi(registry, loopback_only=True), "127.0.0.1", 0) as at:
        yield f"http://{at[0]}:{at[1]}"


@asynccontextmanager
async def real_toxiproxy() -> AsyncIterator[str]:
    """A toxiproxy-server 2.12 as a process; the test is skipped where there is none."""
    binary = await asyncio.to_thread(find_real_server)
    if binary is None:
        pytest.skip(MISSING)
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        binary, "-host", "127.0.0.1", "-port", str(port), env={**os.environ, "LOG_LEVEL": "fatal"},
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        url = f"http://127.0.0.1:{port}"
        async with asyncio.timeout(WITHIN_S):
            await _answers(url)
        yield url
    finally:
        process.terminate()
        async with asyncio.timeout(WITHIN_S):
            await process.wait()


async def _answers(url: str) -> None:
    """Poll an outside process until it is there."""
    async with httpx.AsyncClient(trust_env=False) as client:
        while True:
            try:
                await client.get(f"{url}/version")
            except httpx.ConnectError:
                await asyncio.sleep(0.02)
            else:
                return


KINDS = (
    Kind("in-process", in_this_process, connect_embedded),
    Kind("program", embedded_proxy, connect_embedded),
    Kind("toxiproxy", real_toxiproxy, connect_toxiproxy),
)


@asynccontextmanager
async def echo() -> AsyncIterator[str]:
    """An upstream that sends back what it gets."""
    async with listening(send_back) as server:
        yield server.address


async def round_trip(listen: str, data: bytes) -> bytes:
    """What comes back through a link; empty when the connection ends first."""
    host, _, port = listen.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(data)
        async with asyncio.timeout(WITHIN_S):
            return await reader.readexactly(len(data))
    except (asyncio.IncompleteReadError, ConnectionError):
        return b""
    finally:
        writer.close()
