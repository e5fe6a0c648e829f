"""Half-open connections: the network is back, the peer has forgotten them, and nobody says so."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from chaos.model.link import Protocol
from chaos.proxy import ToxicSpec
from chaos.proxy.errors import BadAttributesError


def silence(rig: Any, stream: str = "upstream", **keys: Any) -> str:
    """Add the toxic; its name."""
    return rig.proxy.add_toxic(ToxicSpec(type="blackhole", stream=stream, attributes={"half_open": 1}, **keys)).name


async def swallowed(rig: Any, nbytes: int, direction: str = "up", number: int = 0) -> None:
    """Until the proxy has taken so many bytes of that connection."""
    async with asyncio.timeout(10):
        while getattr(rig.proxy.connections()[number], direction).received < nbytes:
            await asyncio.sleep(0.001)


async def test_what_lost_data_stays_silent_and_all_else_works(open_rig: Any) -> None:
    """Old connections never answer and are not closed, those at rest and new ones work, the other direction flows."""
    client, upstream = await open_rig.pair()
    idle, idle_upstream = await open_rig.pair()
    name = silence(open_rig)
    await client.send(b"lost")
    await swallowed(open_rig, 4)
    open_rig.proxy.remove_toxic(name)
    await client.send(b"lost, too")
    await swallowed(open_rig, 13)
    await upstream.send(b"still here")
    assert await client.exactly(10) == b"still here"
    fresh, fresh_upstream = await open_rig.pair()
    for one, other in ((idle, idle_upstream), (fresh, fresh_upstream)):
        await one.send(b"z")
        assert await other.exactly(1) == b"z"
    (old, *_) = open_rig.proxy.connections()
    assert (old.up.sent, old.up.held, old.state) == (0, 0, "open")
    touches = [(r.kind, r.direction, r.faults) for r in open_rig.wire() if r.kind in {"touch", "close"}]
    assert touches == [("touch", ">", ("blackhole_upstream",))]


@pytest.mark.parametrize("who", ["client", "upstream"])
async def test_a_silent_connection_ends_when_a_side_closes(open_rig: Any, who: str) -> None:
    """Silent both ways, by two faults: neither side hears of anything until one of them goes; then the other is reset."""
    client, upstream = await open_rig.pair()
    names = [silence(open_rig, stream) for stream in ("upstream", "downstream")]
    await client.send(b"lost")
    await upstream.send(b"lost")
    await swallowed(open_rig, 4)
    await swallowed(open_rig, 4, "down")
    for name in names:
        open_rig.proxy.remove_toxic(name)
    await client.send(b"lost")
    await upstream.send(b"lost")
    await swallowed(open_rig, 8)
    await swallowed(open_rig, 8, "down")
    first, other = (client, upstream) if who == "client" else (upstream, client)
    first.half_close()
    assert await other.ending() == "rst"
    await open_rig.settled()
    (close,) = [r for r in open_rig.wire() if r.kind == "close"]
    assert (close.status, close.faults) == ("rst", (names[who == "upstream"],))


async def test_a_side_that_closed_meanwhile_ends_it_with_the_fault(open_rig: Any) -> None:
    """Its end vanished while the fault lasted; nobody is left to be silent to."""
    client, upstream = await open_rig.pair()
    name = silence(open_rig)
    client.half_close()
    async with asyncio.timeout(10):
        while not open_rig.proxy.toxic(name).hits:
            await asyncio.sleep(0.001)
    open_rig.proxy.remove_toxic(name)
    assert await upstream.ending() == "rst"


async def test_the_end_of_its_lease_ends_the_silence(open_rig: Any) -> None:
    """A fault leaves nothing behind that outlives who was responsible for it; what another lease silenced goes on."""
    leases = open_rig.registry.server.leases
    mine, other = (leases.acquire(holder=holder, ttl_ms=60_000, hard_end_ms=60_000, exclusive=False) for holder in "ab")
    for lease in (mine, other):
        client, _ = await open_rig.pair()
        name = silence(open_rig, lease=lease.id)
        await client.send(b"lost")
        await swallowed(open_rig, 4, number=len(open_rig.clients) - 1)
        open_rig.proxy.remove_toxic(name)
    leases.release(mine.id)
    assert await open_rig.clients[0].ending() == "rst"
    assert [connection.number for connection in open_rig.proxy.connections()] == [2]
    running = silence(open_rig, lease=other.id)
    third, _ = await open_rig.pair()
    await third.send(b"lost")
    await swallowed(open_rig, 4, number=1)
    leases.release(other.id)
    assert [await client.ending() for client in open_rig.clients[1:]] == ["rst", "rst"]
    assert running not in [toxic.name for toxic in open_rig.proxy.toxics]


async def test_a_reset_of_all_ends_the_silence(open_rig: Any) -> None:
    """Whether the toxic was there still or gone already."""
    for gone in (True, False):
        client, _ = await open_rig.pair()
        name = silence(open_rig)
        await client.send(b"lost")
        await swallowed(open_rig, 4, number=len(open_rig.clients) - 1)
        if gone:
            open_rig.proxy.remove_toxic(name)
    await open_rig.registry.reset()
    assert [await client.ending() for client in open_rig.clients] == ["rst", "rst"]


async def test_a_picked_message_silences_its_connection(rig_of: Any) -> None:
    """While the fault lasts only what matches vanishes; when it is over, the connection of that message is forgotten as a whole."""

    async def serve(peer: Any) -> None:
        while await peer.recv():
            await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    rig = await rig_of(serve, protocol=Protocol.HTTP)
    client = await rig.connect()
    name = silence(rig, match="POST /lost")
    await client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert (await client.recv()).startswith(b"HTTP/1.1 200")
    await client.send(b"POST /lost HTTP/1.1\r\nHost: a\r\n\r\n")
    async with asyncio.timeout(10):
        while not rig.proxy.toxic(name).hits:
            await asyncio.sleep(0.001)
    rig.proxy.remove_toxic(name)
    up = rig.proxy.connections()[0].up
    before, later = (up.received, up.sent), b"GET /later HTTP/1.1\r\nHost: a\r\n\r\n"
    await client.send(later)
    await swallowed(rig, before[0] + len(later))
    assert up.sent == before[1]


async def test_it_does_not_grow(open_rig: Any) -> None:
    """A flag has no ramp."""
    with pytest.raises(BadAttributesError, match="leave ramp_ms out"):
        silence(open_rig, ramp_ms=100.0)
