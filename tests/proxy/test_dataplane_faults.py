"""Refuse, hang, reset; faults that begin and end by themselves; leases that take their faults along."""

from __future__ import annotations

import asyncio
import gc
import socket
import time
from typing import Any

import pytest

from chaos.proxy import ToxicSpec
from chaos.proxy.errors import LeaseNotFoundError, LeaseTakenError

MS = 1_000_000


async def echoed(rig: Any) -> Any:
    """A client through which a byte has passed and come back."""
    client = await rig.connect()
    await client.send(b"x")
    assert await client.exactly(1) == b"x"
    return client


async def faults_over(rig: Any) -> None:
    """Until no toxic is left."""
    async with asyncio.timeout(10):
        while rig.proxy.toxics:
            await asyncio.sleep(0.001)


def onsets(rig: Any) -> list[tuple[str, tuple[str, ...], str]]:
    """The `on` and `off` records."""
    return [(r.kind, r.faults, r.status) for r in rig.wire() if r.kind in {"on", "off"}]


async def test_refuse_resets_refuses_and_keeps_the_port(rig: Any) -> None:
    """Live connections are reset, connects refused, nobody else is given the port, and removal brings it back."""
    client = await echoed(rig)
    name = rig.toxic("refuse")
    assert await client.ending() == "rst"
    for _ in range(3):
        with pytest.raises(ConnectionRefusedError):
            await rig.connect()
    port = int(rig.proxy.listen.rpartition(":")[2])
    with socket.socket() as thief, pytest.raises(OSError, match="in use"):
        thief.bind(("127.0.0.1", port))
    rig.proxy.remove_toxic(name)
    await echoed(rig)
    records = rig.wire()
    assert [r.faults for r in records if r.kind == "close"] == [("refuse_downstream",)]
    assert [r.kind for r in records if r.kind in {"on", "off", "close"}] == ["on", "close", "off"]


async def test_refuse_with_keep_live_spares_connections(rig: Any) -> None:
    """Only new ones are refused."""
    client = await echoed(rig)
    rig.toxic("refuse", keep_live=1)
    with pytest.raises(ConnectionRefusedError):
        await rig.connect()
    await client.send(b"y")
    assert await client.exactly(1) == b"y"


async def test_refuse_survives_disable_and_enable(rig: Any) -> None:
    """A proxy enabled while it refuses goes on refusing; two refusals end with the last."""
    rig.toxic("refuse")
    rig.proxy.add_toxic(ToxicSpec(type="refuse", name="second"))
    await rig.proxy.update(enabled=False)
    await rig.proxy.update(enabled=True)
    rig.proxy.remove_toxic("second")
    with pytest.raises(ConnectionRefusedError):
        await rig.connect()
    rig.proxy.remove_toxic("refuse_downstream")
    await echoed(rig)


async def test_hang_accepts_and_says_nothing(rig: Any) -> None:
    """New connections are accepted and never dialled, live ones hear nothing; at the end what it held is reset."""
    live, idle = await echoed(rig), await echoed(rig)
    name = rig.toxic("hang")
    fresh = await rig.connect()
    await fresh.send(b"hello?")
    await live.send(b"hello?")
    async with asyncio.timeout(10):
        while sum(c.up.held for c in rig.proxy.connections()) < 12:
            await asyncio.sleep(0.001)
    assert len(rig.upstream.peers) == 2
    rig.proxy.remove_toxic(name)
    assert await fresh.ending() == "rst"
    assert await live.ending() == "rst"
    await idle.send(b"z")
    assert await idle.exactly(1) == b"z"
    assert {r.faults for r in rig.wire() if r.kind == "close"} == {("hang_downstream",)}


async def test_a_connection_opened_during_a_hang_is_never_served(rig: Any) -> None:
    """Also one that has sent nothing: it has no upstream, so the end resets it."""
    name = rig.toxic("hang")
    fresh = await rig.connect()
    async with asyncio.timeout(10):
        while not any(r.kind == "open" for r in rig.wire()):
            await asyncio.sleep(0.001)
    rig.proxy.remove_toxic(name)
    assert await fresh.ending() == "rst"


async def test_reset_hits_the_pool_at_rest_and_each_next_request(rig: Any) -> None:
    """Live connections are reset at onset, new ones at their first request; afterwards all is well."""
    client = await echoed(rig)
    name = rig.toxic("reset")
    assert await client.ending() == "rst"
    fresh = await rig.connect()
    await fresh.send(b"GET /")
    assert await fresh.ending() == "rst"
    rig.proxy.remove_toxic(name)
    await echoed(rig)


async def test_a_fault_begins_and_ends_by_itself_and_never_early(rig: Any) -> None:
    """Armed it does nothing; its onset and end are recorded with the times they really had."""
    at_ns = time.monotonic_ns() + 30 * MS
    toxic = rig.proxy.add_toxic(ToxicSpec(type="latency", fault="slow", at_ns=at_ns, for_ms=30))
    assert not toxic.active
    assert repr(toxic) == "<Toxic latency_downstream latency downstream armed hits=0>"
    await faults_over(rig)
    on, off = [r for r in rig.wire() if r.kind in {"on", "off"}]
    assert (on.faults, off.faults, off.status) == (("slow",), ("slow",), "ended")
    assert on.t_ns >= at_ns
    assert off.t_ns >= at_ns + 30 * MS
    assert on.t_ns < off.t_ns


async def test_a_scheduled_refusal_is_over_without_anybody(rig: Any) -> None:
    """From closed listener back to serving, with no call in between."""
    rig.proxy.add_toxic(ToxicSpec(type="refuse", at_ns=time.monotonic_ns(), for_ms=20))
    with pytest.raises(ConnectionRefusedError):
        await rig.connect()
    await faults_over(rig)
    await echoed(rig)


async def test_an_armed_fault_can_be_taken_back(rig: Any) -> None:
    """It never begins, and nothing is recorded."""
    rig.proxy.add_toxic(ToxicSpec(type="reset", name="r", at_ns=time.monotonic_ns() + 20 * MS, for_ms=20))
    rig.proxy.remove_toxic("r")
    client = await echoed(rig)
    await asyncio.sleep(0.04)
    await client.send(b"y")
    assert await client.exactly(1) == b"y"
    assert onsets(rig) == []


async def test_a_lease_that_is_not_renewed_takes_its_toxics(rig: Any) -> None:
    """Armed and active ones, recorded with the reason; toxics without a lease stay."""
    lease = rig.registry.server.leases.acquire(holder="run 1", ttl_ms=30, hard_end_ms=60_000)
    far_ns = time.monotonic_ns() + 3_600_000 * MS
    rig.proxy.add_toxic(ToxicSpec(type="latency", name="ours", lease=lease.id))
    rig.proxy.add_toxic(ToxicSpec(type="latency", name="armed", lease=lease.id, at_ns=far_ns))
    rig.proxy.add_toxic(ToxicSpec(type="latency", name="other"))
    async with asyncio.timeout(10):
        while len(rig.proxy.toxics) > 1:
            await asyncio.sleep(0.001)
    assert [toxic.name for toxic in rig.proxy.toxics] == ["other"]
    assert ("off", ("ours",), "lease") in onsets(rig)
    with pytest.raises(LeaseNotFoundError):
        rig.registry.server.leases.renew(lease.id)
    with pytest.raises(LeaseNotFoundError):
        rig.proxy.add_toxic(ToxicSpec(type="latency", name="late", lease=lease.id))


async def test_no_renewal_moves_the_hard_end(rig: Any) -> None:
    """Renewed all the time, the lease still ends; a later hard end is ignored, an earlier one taken."""
    leases = rig.registry.server.leases
    lease = leases.acquire(holder="run 1", ttl_ms=20_000, hard_end_ms=60_000)
    rig.proxy.add_toxic(ToxicSpec(type="latency", name="ours", lease=lease.id))
    before = lease.hard_end_ns
    leases.renew(lease.id, hard_end_ms=3_600_000)
    assert lease.hard_end_ns == before
    leases.renew(lease.id, hard_end_ms=20)
    async with asyncio.timeout(10):
        while leases.all():
            leases.all()
            await asyncio.sleep(0.001)
    assert time.monotonic_ns() >= lease.hard_end_ns
    assert rig.proxy.toxics == ()
    assert ("off", ("ours",), "hard-end") in onsets(rig)


async def test_an_exclusive_lease_is_a_lock(rig: Any) -> None:
    """The second is told who holds it and for how long; once given back it can be had, and its toxics are gone."""
    leases = rig.registry.server.leases
    lease = leases.acquire(holder="run 1", ttl_ms=5000, hard_end_ms=60_000)
    rig.proxy.add_toxic(ToxicSpec(type="latency", name="ours", lease=lease.id))
    with pytest.raises(LeaseTakenError, match="held by run 1") as caught:
        leases.acquire(holder="run 2", ttl_ms=5000, hard_end_ms=60_000)
    assert caught.value.age_ms >= 0
    leases.acquire(holder="observer", ttl_ms=5000, hard_end_ms=60_000, exclusive=False)
    leases.release(lease.id)
    assert rig.proxy.toxics == ()
    assert ("off", ("ours",), "healed") in onsets(rig)
    leases.acquire(holder="run 2", ttl_ms=5000, hard_end_ms=60_000)


async def test_the_collector_stands_still_while_a_fault_is_scheduled(rig_of: Any) -> None:
    """Only in a process of our own, and only for that long."""
    rig = await rig_of(own_process=True)
    rig.proxy.add_toxic(ToxicSpec(type="noop", name="plain"))
    assert gc.isenabled()
    rig.proxy.add_toxic(ToxicSpec(type="noop", at_ns=time.monotonic_ns() + 10 * MS, for_ms=10))
    assert not gc.isenabled()
    async with asyncio.timeout(10):
        while len(rig.proxy.toxics) > 1:
            await asyncio.sleep(0.001)
    assert gc.isenabled()


async def test_removing_a_proxy_ends_its_faults(rig: Any) -> None:
    """The `off` records say so."""
    rig.toxic("latency", latency=1)
    await rig.registry.remove("a>b")
    assert onsets(rig)[-1] == ("off", ("latency_downstream",), "healed")
