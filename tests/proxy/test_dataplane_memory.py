"""Slow and dead peers hold bounded memory: what the proxy keeps for them is counted, with and without toxics."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from random import Random
from typing import Any

import pytest

from chaos.proxy import TOXIC_TYPES, ToxicSpec
from chaos.proxy.pipe import Pipe
from chaos.proxy.settings import Options
from chaos.proxy.stage import MS
from chaos.proxy.timers import Timers
from chaos.proxy.toxic import Toxic

KIB = 1024
HOUR_MS = 3_600_000
#: One read, what a transport buffers before it says so, and the chunk that made it say so.
SOCKET_BYTES = 3 * 64 * KIB
CONNECTIONS = 20


def kept(connection: Any) -> int:
    """Bytes in stages, before the dial, and in the transports' buffers."""
    total = 0
    for pipe in (connection.up, connection.down):
        total += pipe.held + (pipe.sink.get_write_buffer_size() if pipe.sink is not None else 0)
    return total


async def flood(peer: Any) -> None:
    """Send for ever."""
    while True:
        await peer.send(bytes(256 * KIB))


@pytest.mark.parametrize(
    ("type_", "attributes"),
    [
        (None, {}),
        ("noop", {}),
        ("bandwidth", {"rate": 0}),
        ("bandwidth", {"rate": 1}),
        ("slicer", {"average_size": 1, "delay": 60_000_000}),
        ("reset_peer", {"timeout": HOUR_MS}),
        ("slow_close", {"delay": HOUR_MS}),
        ("hang", {}),
    ],
)
async def test_a_crowd_that_does_not_read_is_kept_small(
    rig_of: Any, type_: str | None, attributes: dict[str, int]
) -> None:
    """Upstreams that send for ever to clients that read nothing: each connection keeps little, and its sender is paused."""
    rig = await rig_of(flood)
    for _ in range(CONNECTIONS):
        await rig.connect()
    await rig.upstream.peer(CONNECTIONS)
    if type_:
        rig.toxic(type_, **attributes)
    async with asyncio.timeout(20):
        while not all(connection.down.paused for connection in rig.proxy.connections()):
            await asyncio.sleep(0.001)
    capacity = 64 * KIB
    assert len(rig.proxy.connections()) == CONNECTIONS
    assert max(kept(connection) for connection in rig.proxy.connections()) <= capacity + SOCKET_BYTES


async def test_what_comes_before_the_dial_is_over_is_bounded(rig_of: Any) -> None:
    """A client that talks to a hang is paused: accepted, never dialled, and little kept."""
    rig = await rig_of(flood)
    rig.toxic("hang")
    clients = [await rig.connect() for _ in range(CONNECTIONS)]
    sending = [asyncio.create_task(client.send(bytes(16 * 1024 * KIB))) for client in clients]
    async with asyncio.timeout(20):
        while not all(connection.up.paused for connection in rig.proxy.connections()):
            await asyncio.sleep(0.001)
    assert max(kept(connection) for connection in rig.proxy.connections()) <= 2 * SOCKET_BYTES
    for task in sending:
        task.cancel()
    await asyncio.gather(*sending, return_exceptions=True)


class Gauge(asyncio.Transport):
    """A source that only remembers whether it may go on."""

    paused = False

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False


@pytest.fixture
async def timers() -> AsyncIterator[Timers]:
    """Timers on this test's loop."""
    made = Timers(asyncio.get_running_loop())
    yield made
    made.close()


@pytest.mark.parametrize(
    ("type_", "attributes", "most"),
    [
        ("latency", {"latency": HOUR_MS}, 32 * KIB * KIB),
        ("loss", {"rate": 1_000_000, "delay": HOUR_MS}, 4 * KIB * KIB),
    ],
)
async def test_chunks_of_one_byte_are_bounded_too(
    timers: Timers, type_: str, attributes: dict[str, int], most: int
) -> None:
    """What a queue needs beside the bytes counts: the sender is paused long before a stage that may hold much is full of bytes."""
    kind = TOXIC_TYPES[type_]
    assert kind.stage is not None
    spec = ToxicSpec(type=type_, attributes=attributes)
    toxic = Toxic(spec, kind, kind.decode(attributes), 1, Options().seed)
    pipe = Pipe("<", timers, lambda *_: None, lambda *_: None)
    pipe.source = gauge = Gauge()
    stage = kind.stage(toxic.attributes, lambda: Random(1), 0)
    pipe.insert(toxic, stage)
    count = 0
    while not gauge.paused:
        pipe.feed(b"x")
        count += 1
        assert count <= most // 256
    assert stage.held == count
    stage.remove(1 * MS)
    assert (stage.held, stage.overhead) == (0, 0)
    pipe.close()
