"""A framed link to a real nats-server, faults on it, and nats-py through it and past it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import nats
import pytest
from nats.js.api import ConsumerConfig

from chaos.model.link import Protocol
from chaos.model.wire_record import WireRecord
from chaos.proxy import Proxy, ProxySettings, Registry, ToxicSpec, open_registry
from chaos.system import NatsServer
from chaos.system.ports import Address
from tests.proxy.wire_records import take_records

GUARD_S = 20.0
#: Long enough for an answer that comes, short enough to wait for one that does not.
LOST_S = 0.5
ACK_WAIT_S = 0.4


@dataclass
class Link:
    """A proxy in front of the server, with subjects and a stream of its own. `direct` is a client that does not pass the proxy."""

    registry: Registry
    proxy: Proxy
    server: NatsServer
    stack: AsyncExitStack
    name: str
    direct: Any = None

    async def client(self, **options: Any) -> Any:
        """A client through the proxy."""
        host, _, port = self.proxy.listen.rpartition(":")
        return await self.connect(Address(host, int(port)), **options)

    async def connect(self, address: Address, **options: Any) -> Any:
        """A client that is closed in the end."""
        options = {"connect_timeout": 10, "reconnect_time_wait": 0.01, "max_reconnect_attempts": 100, **options}
        client = nats.NATS()
        self.stack.push_async_callback(close, client)  # also one that cannot connect leaves a socket behind
        await client.connect(self.server.url_through(address).reveal(), **options)
        return client

    def fault(self, type_: str, match: str, phase: str = "before", **keys: Any) -> str:
        """Add a message fault for messages of this link's subjects; `{}` in the pattern stands for the link's name."""
        attributes = keys.pop("attributes", {})
        match = match.replace("{}", self.name)
        spec = ToxicSpec(type=type_, fault=type_, match=match, phase=phase, attributes=attributes, **keys)
        return self.proxy.add_toxic(spec).name

    def wire(self) -> list[WireRecord]:
        """All wire records since the last call."""
        return take_records(self.registry.server)

    def acted(self) -> list[tuple[str, str, str]]:
        """Direction, signature and what was done of each message fault that acted, the link's name left out."""
        told = [record for record in self.wire() if record.kind == "acted"]
        return [(record.direction, record.signature.replace(self.name, "S"), record.status) for record in told]

    async def stored(self) -> int:
        """Messages in the stream."""
        return (await self.direct.jetstream().stream_info(self.name)).state.messages

    async def hear(self, subject: str) -> Any:
        """A subscription that does not pass the proxy."""
        subscription = await self.direct.subscribe(subject)
        await settled(self.direct)
        return subscription


async def settled(client: Any) -> None:
    """The server knows its subscriptions: a single PING may overtake a SUB that is still queued."""
    for _ in range(2):
        await client.flush(GUARD_S)


async def close(client: Any) -> None:
    """Whatever state it is in."""
    await asyncio.wait_for(client.close(), GUARD_S)


async def consume(client: Any, link: Link) -> Any:
    """A pull consumer."""
    config = ConsumerConfig(ack_wait=ACK_WAIT_S)
    return await client.jetstream(timeout=GUARD_S).pull_subscribe(f"{link.name}.>", durable="agent", config=config)


async def one(consumer: Any) -> Any:
    """The next delivery."""
    (message,) = await consumer.fetch(1, timeout=GUARD_S)
    return message


async def until(condition: Any) -> None:
    """Until that is so."""
    async with asyncio.timeout(GUARD_S):
        while not await condition():
            await asyncio.sleep(0.01)


@pytest.fixture
async def nats_link(nats_server: NatsServer) -> AsyncIterator[Link]:
    """A framed link to the server, and a stream for its subjects."""
    async with AsyncExitStack() as stack:
        registry = await stack.enter_async_context(open_registry())
        settings = ProxySettings(
            name="a>nats", listen="127.0.0.1:0", upstream=str(nats_server.address), protocol=Protocol.NATS
        )
        link = Link(registry, await registry.create(settings), nats_server, stack, f"M{uuid4().int % 10**6}x")
        link.direct = await link.connect(nats_server.address)
        await link.direct.jetstream().add_stream(name=link.name, subjects=[f"{link.name}.>"])
        stack.push_async_callback(link.direct.jetstream().delete_stream, link.name)
        yield link


async def until_hits(link: Link, hits: int) -> None:
    """Until the first toxic acted so often."""

    async def hit() -> bool:
        return link.proxy.toxics[0].hits >= hits

    await until(hit)
