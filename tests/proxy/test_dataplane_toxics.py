"""Toxics on live connections: added, changed and removed while bytes flow."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from chaos.proxy import ToxicSpec
from chaos.proxy.errors import (
    BadAttributesError,
    InvalidStreamError,
    InvalidToxicTypeError,
    ToxicExistsError,
    ToxicNotFoundError,
)


async def joined(rig: Any) -> tuple[Any, Any]:
    """A client and its upstream side between which a byte has passed each way."""
    client, upstream = await rig.pair()
    await client.send(b"?")
    await upstream.exactly(1)
    await upstream.send(b"!")
    await client.exactly(1)
    return client, upstream


@pytest.mark.parametrize("stream", ["upstream", "downstream"])
async def test_latency_is_never_early(rig: Any, stream: str) -> None:
    """On either stream a round trip takes at least the delay."""
    client = await rig.connect()
    rig.toxic("latency", stream, latency=30)
    for _ in range(3):
        start_ns = time.monotonic_ns()
        await client.send(b"x")
        assert await client.exactly(1) == b"x"
        assert time.monotonic_ns() - start_ns >= 30_000_000


async def test_removed_latency_releases_what_is_in_flight(open_rig: Any) -> None:
    """An hour's delay, removed: the bytes are there, in order, and the connection goes on."""
    client, upstream = await joined(open_rig)
    name = open_rig.toxic("latency", latency=3_600_000)
    await upstream.send(b"in flight")
    await asyncio.wait_for(until(lambda: open_rig.proxy.received_bytes("<") == 10), 10)
    assert open_rig.proxy.sent_bytes("<") == 1
    open_rig.proxy.remove_toxic(name)
    assert await client.exactly(9) == b"in flight"
    await upstream.send(b"more")
    assert await client.exactly(4) == b"more"


async def until(condition: Any) -> None:
    """Poll the proxy's own counters."""
    while not condition():
        await asyncio.sleep(0.001)


async def test_toggling_latency_loses_no_byte(rig: Any) -> None:
    """Two-byte writes while latency comes, changes and goes: every byte in order."""
    client = await rig.connect()
    data = bytes(i % 251 for i in range(2 * 4000))

    async def write() -> None:
        for at in range(0, len(data), 2):
            await client.send(data[at : at + 2])
            if at % 64 == 0:
                await asyncio.sleep(0)

    async def toggle() -> None:
        for i in range(60):
            name = rig.toxic("latency", ("upstream", "downstream")[i % 2], latency=3, jitter=3)
            await asyncio.sleep(0.002)
            rig.proxy.update_toxic(name, {"latency": 1})
            await asyncio.sleep(0.001)
            rig.proxy.remove_toxic(name)

    writing, toggling = asyncio.create_task(write()), asyncio.create_task(toggle())
    assert await client.exactly(len(data)) == data
    await asyncio.gather(writing, toggling)


async def test_a_stall_keeps_the_data_and_heals(open_rig: Any) -> None:
    """Bandwidth 0, then removal: the payload arrives and the connection lives."""
    client, upstream = await joined(open_rig)
    name = open_rig.toxic("bandwidth", rate=0)
    await upstream.send(b"payload")
    await asyncio.wait_for(until(lambda: open_rig.proxy.received_bytes("<") == 8), 10)
    open_rig.proxy.remove_toxic(name)
    assert await client.exactly(7) == b"payload"
    await upstream.send(b"more")
    assert await client.exactly(4) == b"more"


async def test_a_stalled_link_holds_little(open_rig: Any) -> None:
    """The sender of a stalled direction is paused, and released by removal."""
    client, upstream = await joined(open_rig)
    name = open_rig.toxic("bandwidth", rate=0)
    sending = asyncio.create_task(upstream.send(bytes(16 * 1024 * 1024)))
    await asyncio.wait_for(until(lambda: open_rig.proxy.received_bytes("<") > 64 * 1024), 10)
    assert open_rig.proxy.connections()[0].down.held <= 256 * 1024
    assert not sending.done()
    open_rig.proxy.remove_toxic(name)
    assert len(await client.exactly(16 * 1024 * 1024)) == 16 * 1024 * 1024
    await sending


async def test_timeout_swallows_one_direction_and_closes_on_removal(open_rig: Any) -> None:
    """The other direction flows; removing the toxic closes both sides."""
    client, upstream = await joined(open_rig)
    name = open_rig.toxic("timeout", timeout=0)
    await upstream.send(b"swallowed")
    await client.send(b"up")
    assert await upstream.exactly(2) == b"up"
    open_rig.proxy.remove_toxic(name)
    assert await client.rest() == b""
    assert await upstream.ending() == "fin"
    closes = [record for record in open_rig.wire() if record.kind == "close"]
    assert [(record.faults, record.status) for record in closes] == [((name,), "fin")]


async def test_timeout_closes_after_silence(open_rig: Any) -> None:
    """No sooner than its time."""
    client, upstream = await joined(open_rig)
    start_ns = time.monotonic_ns()
    open_rig.toxic("timeout", timeout=40)
    assert await client.rest() == b""
    assert time.monotonic_ns() - start_ns >= 40_000_000
    assert await upstream.ending() == "fin"


@pytest.mark.parametrize("live", [True, False])
@pytest.mark.parametrize("stream", ["upstream", "downstream"])
async def test_reset_peer_resets_both_sides(open_rig: Any, stream: str, live: bool) -> None:
    """New connections and, beyond Toxiproxy, live ones get a real RST after the first data of the direction."""
    pair = await joined(open_rig) if live else None
    open_rig.toxic("reset_peer", stream, timeout=5)
    client, upstream = pair or await open_rig.pair()
    await (client if stream == "upstream" else upstream).send(b"first")
    assert await client.ending() == "rst"
    assert await upstream.ending() == "rst"


async def test_reset_peer_without_data_does_nothing_and_goes_without_trace(open_rig: Any) -> None:
    """A connection at rest lives, and toxicity 0 leaves no linger behind."""
    client, upstream = await joined(open_rig)
    name = open_rig.toxic("reset_peer")
    open_rig.proxy.update_toxic(name, {}, 0.0)
    await client.send(b"x")
    assert await upstream.exactly(1) == b"x"
    upstream.close()
    assert await client.ending() == "fin"


async def test_limit_data_closes_at_exactly_its_bytes(open_rig: Any) -> None:
    """Ten bytes arrive, then the end, on both sides."""
    client, upstream = await joined(open_rig)
    open_rig.toxic("limit_data", bytes=10)
    await upstream.send(b"0123456")
    assert await client.exactly(7) == b"0123456"
    await upstream.send(b"789abc")
    assert await client.rest() == b"789"
    assert await upstream.ending() in {"fin", "rst"}


async def test_slow_close_delays_its_own_direction_only(open_rig: Any) -> None:
    """Removing it while it waits closes at once; the other way is not delayed."""
    client, upstream = await joined(open_rig)
    name = open_rig.toxic("slow_close", delay=3_600_000)
    client.half_close()
    assert await upstream.rest() == b""
    await upstream.send(b"bye")
    upstream.half_close()
    assert await client.exactly(3) == b"bye"
    open_rig.proxy.remove_toxic(name)
    assert await client.rest() == b""


async def test_slicer_keeps_the_bytes(rig: Any) -> None:
    """Many pieces, one stream."""
    client = await rig.connect()
    rig.toxic("slicer", average_size=10, size_variation=5, delay=10)
    data = bytes(i % 251 for i in range(5000))
    await client.send(data)
    assert await client.exactly(5000) == data
    assert rig.proxy.toxic("slicer_downstream").hits > 0


async def test_toxics_chain_in_order_and_add_up(rig: Any) -> None:
    """Two delays add up; a slicer behind them still slices."""
    client = await rig.connect()
    for name in ("one", "two"):
        rig.proxy.add_toxic(ToxicSpec(type="latency", name=name, attributes={"latency": 20}))
    rig.toxic("slicer", average_size=1)
    start_ns = time.monotonic_ns()
    await client.send(b"abc")
    assert await client.exactly(3) == b"abc"
    assert time.monotonic_ns() - start_ns >= 40_000_000


async def test_toxicity_is_drawn_once_for_a_connection(rig: Any) -> None:
    """Adding and removing neighbours, and changing the toxic, never changes who is hit."""
    for _ in range(40):
        client = await rig.connect()
        await client.send(b"x")
        await client.exactly(1)
    rig.proxy.add_toxic(ToxicSpec(type="noop", name="half", toxicity=0.5, seed=7))

    def hit() -> list[int]:
        return [c.number for c in rig.proxy.connections() if any(s.toxic.name == "half" for s in c.down.seats)]

    first = hit()
    assert 0 < len(first) < 40
    for i in range(20):
        name = rig.toxic("noop", "downstream")
        rig.proxy.update_toxic("half", {}, 0.5)
        assert hit() == first, i
        rig.proxy.remove_toxic(name)
        assert hit() == first, i
    rig.proxy.update_toxic("half", {}, 0.0)
    assert hit() == []
    rig.proxy.update_toxic("half", {}, 1.0)
    assert len(hit()) == 40
    rig.proxy.update_toxic("half", {}, 0.5)
    assert hit() == first
    rig.proxy.remove_toxic("half")
    rig.proxy.add_toxic(ToxicSpec(type="noop", name="half", toxicity=0.5, seed=7))
    assert hit() == first


async def test_toxicity_zero_does_nothing_at_all(open_rig: Any) -> None:
    """Not even its removal shows, also for `timeout`."""
    client, upstream = await joined(open_rig)
    toxic = open_rig.proxy.add_toxic(ToxicSpec(type="timeout", toxicity=0))
    await upstream.send(b"ok")
    assert await client.exactly(2) == b"ok"
    open_rig.proxy.remove_toxic(toxic.name)
    await upstream.send(b"still")
    assert await client.exactly(5) == b"still"


async def test_order_of_refusals(rig: Any) -> None:
    """Stream before type before name before attributes; nothing is stored."""
    rig.proxy.add_toxic(ToxicSpec(type="latency", name="taken"))
    with pytest.raises(InvalidStreamError):
        rig.proxy.add_toxic(ToxicSpec(type="nope", name="taken", stream=""))
    with pytest.raises(InvalidToxicTypeError):
        rig.proxy.add_toxic(ToxicSpec(type="Latency", name="taken"))
    with pytest.raises(ToxicExistsError):
        rig.proxy.add_toxic(ToxicSpec(type="bandwidth", name="taken", stream="upstream", attributes={"rate": -1}))
    with pytest.raises(BadAttributesError):
        rig.proxy.add_toxic(ToxicSpec(type="bandwidth", attributes={"rate": -1}))
    with pytest.raises(ToxicNotFoundError):
        rig.proxy.remove_toxic("nope")
    assert [toxic.name for toxic in rig.proxy.toxics] == ["taken"]


async def test_a_refused_update_changes_nothing(rig: Any) -> None:
    """All or nothing."""
    name = rig.toxic("bandwidth", rate=5)
    with pytest.raises(BadAttributesError):
        rig.proxy.update_toxic(name, {"rate": -1}, 0.25)
    toxic = rig.proxy.toxic(name)
    assert (toxic.attributes.rate, toxic.toxicity) == (5, 1.0)


async def test_listing_puts_upstream_first(rig: Any) -> None:
    """Each direction in the order of creation; the default name echoes the stream as given."""
    for stream in ("downstream", "UpStream"):
        rig.toxic("latency", stream)
        rig.toxic("noop", stream)
    assert [toxic.name for toxic in rig.proxy.toxics] == [
        "latency_UpStream", "noop_UpStream", "latency_downstream", "noop_downstream",
    ]  # fmt: skip
    assert repr(rig.proxy.toxics[0]) == "<Toxic latency_UpStream latency UpStream active hits=0>"


async def test_reset_of_the_registry_keeps_live_connections(rig: Any) -> None:
    """All enabled, no toxics, connections stay."""
    client = await rig.connect()
    rig.toxic("latency", latency=3_600_000)
    await client.send(b"x")
    await asyncio.wait_for(until(lambda: rig.proxy.received_bytes("<") == 1), 10)
    await rig.registry.reset()
    assert await client.exactly(1) == b"x"
    assert rig.proxy.toxics == ()
