"""Storms: a thousand connections dropped at once, removal under load, and everything back where it was."""

from __future__ import annotations

import asyncio
import gc
import weakref
from pathlib import Path
from typing import Any

import pytest

from chaos.model.link import Protocol
from chaos.proxy import ToxicSpec

CONNECTIONS = 1000


def descriptors() -> int:
    """Open file descriptors of this process."""
    return len(list(Path("/dev/fd").iterdir()))


async def crowd(rig: Any, count: int) -> list[Any]:
    """So many clients, each of which has had a byte echoed."""
    clients = [await rig.connect() for _ in range(count)]
    for client in clients:
        await client.send(b"x")
    for client in clients:
        await client.exactly(1)
    return clients


async def dropped(rig: Any, peers: list[Any]) -> None:
    """Every descriptor of the peers and of the proxy's connections is closed."""
    for peer in peers:
        peer.close()
    await rig.settled()
    async with asyncio.timeout(20):
        while rig.upstream.peers:
            rig.upstream.peers.pop().close()


@pytest.mark.parametrize("how", ["reset", "close", "toxic", "refuse", "disable"])
async def test_a_thousand_connections_dropped_at_once(rig: Any, how: str) -> None:
    """By their clients or by us: no descriptor, no task, no timer is left, and the next connection works."""
    before = descriptors()
    clients = await crowd(rig, CONNECTIONS)
    name = rig.toxic("latency", latency=3_600_000)
    for client in clients[::2]:
        await client.send(b"held")
    if how in {"reset", "close"}:
        for client in clients:
            getattr(client, how)()
    elif how == "toxic":
        rig.toxic("timeout")
        rig.proxy.remove_toxic("timeout_downstream")
    elif how == "refuse":
        rig.toxic("refuse")
        rig.proxy.remove_toxic("refuse_downstream")
    else:
        await rig.proxy.update(enabled=False)
        await rig.proxy.update(enabled=True)
    rig.proxy.remove_toxic(name)
    await dropped(rig, clients)
    rig.clients.clear()
    assert descriptors() == before
    await crowd(rig, 1)


async def test_removal_under_load_waits_for_nobody(rig: Any) -> None:
    """Streams that nobody reads, connections that come and go, toxics added and removed a thousand times."""
    before = descriptors()
    stop = asyncio.Event()
    names = ("latency", "bandwidth", "slicer", "slow_close", "limit_data", "timeout", "reset_peer", "noop", "hang")

    async def reconnect() -> None:
        while not stop.is_set():
            client = await rig.connect()
            try:
                for _ in range(5):
                    await client.send(bytes(2000))
                    async with asyncio.timeout(0.02):
                        await client.recv()
            except (OSError, TimeoutError):
                pass
            finally:
                client.close()

    workers = [asyncio.create_task(reconnect()) for _ in range(4)]
    for i in range(1000):
        spec = ToxicSpec(type=names[i % len(names)], stream=("upstream", "downstream")[i // 9 % 2], attributes={})
        toxic = rig.proxy.add_toxic(spec)
        if i % 7 == 0:
            await asyncio.sleep(0)
        rig.proxy.remove_toxic(toxic.name)
    stop.set()
    await asyncio.gather(*workers)
    await dropped(rig, rig.clients)
    rig.clients.clear()
    assert descriptors() == before


async def test_toxics_are_removed_while_a_peer_does_not_read(open_rig: Any) -> None:
    """Both sides' buffers are full: add, update and remove act at once all the same, and no byte is lost."""
    client, upstream = await open_rig.pair()
    size = 6 * 1024 * 1024
    sending = asyncio.create_task(upstream.send(bytes(size)))
    async with asyncio.timeout(10):
        while open_rig.proxy.received_bytes("<") < 512 * 1024:
            await asyncio.sleep(0.001)
    for _ in range(20):
        name = open_rig.toxic("latency", latency=1000)
        open_rig.proxy.update_toxic(name, {"jitter": 500})
        open_rig.proxy.remove_toxic(name)
    assert len(await client.exactly(size)) == size
    await sending


async def test_a_peer_that_never_reads_is_given_up(rig_of: Any) -> None:
    """Closing a connection whose client does not read ends both sides after the linger, not never."""
    rig = await rig_of(lambda peer: asyncio.sleep(0), linger_ms=100)
    client, upstream = await rig.pair()
    sending = asyncio.create_task(upstream.send(bytes(32 * 1024 * 1024)))
    async with asyncio.timeout(10):
        while not (rig.proxy.connections() and rig.proxy.connections()[0].down.paused):
            await asyncio.sleep(0.001)
    await rig.proxy.update(enabled=False)
    assert len(rig.proxy.connections()) == 1
    with pytest.raises((ConnectionResetError, BrokenPipeError)):
        await sending
    await rig.settled()
    client.close()


async def test_connections_go_without_the_garbage_collector(rig_of: Any) -> None:
    """It stands still while a fault is scheduled: what ended must not pile up until it runs again."""
    rig = await rig_of(protocol=Protocol.HTTP)
    rig.toxic("latency", latency=1)
    gc.collect()
    gc.disable()
    try:
        clients = await crowd(rig, 50)
        remembered = [weakref.ref(connection) for connection in rig.proxy.connections()]
        for client in clients[::2]:
            client.reset()
        for client in clients[1::2]:
            client.close()
        await rig.settled()
        await asyncio.sleep(0)
        assert [ref() for ref in remembered if ref() is not None] == []
        assert len(rig.registry.server.timers) <= 1
    finally:
        gc.enable()


async def test_the_wire_log_keeps_up_with_a_crowd(rig_of: Any) -> None:
    """On an HTTP link, every connection's records are there, in order, none lost."""
    rig = await rig_of(protocol=Protocol.HTTP)
    clients = [await rig.connect() for _ in range(200)]
    request = b"GET / HTTP/1.1\r\n\r\n"
    for client in clients:
        await client.send(request)
    for client in clients:
        await client.exactly(len(request))
        client.close()
    await rig.settled()
    records = rig.wire()
    assert sum(record.kind == "request" for record in records) == 200
    assert sum(record.kind == "close" for record in records) == 200
    assert rig.registry.server.wire.lost == 0
