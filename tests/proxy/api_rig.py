"""The control API on a port of its own, a client for it, and an echo server to proxy to: what the API's tests are driven with."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from chaos.proxy import Options, Registry, open_registry
from chaos.proxy.api import ControlApi, serve_http
from tests.listening import echo, listening

WITHIN_S = 20.0


class Api:
    """`ask()` sends one request and answers status and decoded body."""

    def __init__(self, client: httpx.AsyncClient, registry: Registry) -> None:
        self.client = client
        self.registry = registry

    async def ask(self, method: str, target: str, body: Any = None) -> tuple[int, Any]:
        """Status and what the body says: JSON where it is JSON, else text."""
        reply = await self.client.request(method, target, json=body)
        try:
            return reply.status_code, reply.json()
        except ValueError:
            return reply.status_code, reply.text

    @asynccontextmanager
    async def events(self) -> AsyncIterator[Events]:
        """The event stream, once it watches."""
        async with self.client.stream("GET", "/chaos/events") as reply:
            events = Events(reply.aiter_lines())
            assert (await events.until("watching"))["event"] == "watching"
            yield events


class Events:
    """Decoded lines; `seen` keeps them in order."""

    def __init__(self, lines: AsyncIterator[str]) -> None:
        self._lines = lines
        self.seen: list[dict[str, Any]] = []

    async def until(self, kind: str) -> dict[str, Any]:
        """The next event of that kind."""
        async with asyncio.timeout(WITHIN_S):
            async for line in self._lines:
                self.seen.append(json.loads(line))
                if self.seen[-1]["event"] == kind:
                    return self.seen[-1]
        raise AssertionError(f"no {kind} in {self.seen}")

    @property
    def kinds(self) -> list[str]:
        """Kinds of what was seen, in order."""
        return [one["event"] for one in self.seen]


@asynccontextmanager
async def open_rig_api(
    options: Options | None = None, *, host: str = "127.0.0.1", **settings: Any
) -> AsyncIterator[Api]:
    """The API of a registry on this loop; `settings` go to ControlApi."""
    async with open_registry(options) as registry:
        control = ControlApi(registry, loopback_only=True, **settings)
        async with serve_http(control, host, 0) as (at, port):
            base = f"http://[{at}]:{port}" if ":" in at else f"http://{at}:{port}"
            async with httpx.AsyncClient(base_url=base, trust_env=False, timeout=WITHIN_S) as client:
                yield Api(client, registry)


@asynccontextmanager
async def echo_server(host: str = "127.0.0.1", *, path: str | None = None) -> AsyncIterator[str]:
    """An upstream that sends back what it gets; its address, `unix:PATH` when a path is given."""
    async with listening(echo, host, path=path) as server:
        yield server.address


class Client:
    """A connection through a proxy; `address` is `host:port`, `[v6]:port` or `unix:PATH`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def echo(self, data: bytes) -> bytes:
        """What comes back for what is sent."""
        self.writer.write(data)
        async with asyncio.timeout(WITHIN_S):
            return await self.reader.readexactly(len(data))

    async def ending(self) -> str:
        """How the stream ends: `fin` or `rst`."""
        try:
            async with asyncio.timeout(WITHIN_S):
                while await self.reader.read(65_536):
                    pass
        except ConnectionResetError:
            return "rst"
        return "fin"


@asynccontextmanager
async def joined(address: str) -> AsyncIterator[Client]:
    """Connect; closed on the way out."""
    if address.startswith("unix:"):
        reader, writer = await asyncio.open_unix_connection(address.removeprefix("unix:"))
    else:
        host, _, port = address.rpartition(":")
        reader, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    try:
        yield Client(reader, writer)
    finally:
        writer.close()
