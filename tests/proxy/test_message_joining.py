"""Directors come at rest and go when there is nothing to direct; faults that end by themselves, by lease, by heal; others beside them."""

from __future__ import annotations

import asyncio
import gc
import time
import weakref
from typing import Any

import pytest

from chaos.model.link import Protocol
from chaos.proxy import ToxicSpec
from chaos.proxy.message.director import Director
from tests.proxy.http_streams import get, ok, post
from tests.proxy.message_rig import (
    FOREVER_MS,
    HIT,
    STREAM,
    MessageRig,
    asked,
    half_answered,
    http_link,
    reply_to,
    until,
)

FAR_NS = 3_600_000_000_000
link = http_link


def pipes(link: MessageRig) -> list[Any]:
    """Both pipes of the first connection."""
    connection = link.rig.proxy.connections()[0]
    return [connection.up, connection.down]


def directed(link: MessageRig) -> bool:
    """Whether the first connection has a director."""
    return any(seat.toxic.name == "" for pipe in pipes(link) for seat in pipe.seats)


# -- coming ---------------------------------------------------------------------------------------------------------


async def test_armed_ahead_the_fault_meets_what_comes_after_its_onset(link: MessageRig) -> None:
    """Connections join while it is armed, and nothing happens to them before."""
    client = await link.connect()
    await asked(client, "/miss")
    toxic = link.fault("error", answer="503", at_ns=time.monotonic_ns() + FAR_NS)
    await asked(client, "/hit")
    assert directed(link)
    assert toxic.hits == 0
    soon = link.fault("error", answer="429", name="soon", at_ns=time.monotonic_ns() + 20_000_000)
    await until(lambda: bool(soon.active))
    await client.send(HIT)
    assert (await client.recv()).startswith(b"HTTP/1.1 429 ")


async def test_an_exchange_that_is_under_way_is_left_alone(link: MessageRig) -> None:
    """Armed in the midst of an answer, and of a request: the fault meets the next ones."""
    link.server.gate.clear()
    client = await link.connect()
    await client.send(HIT)
    await until(lambda: link.server.targets() == ["/hit"])
    toxic = link.fault("cut")
    await client.send(post(b"half", "/hit")[:-2])
    link.server.gate.set()
    assert await client.exactly(len(reply_to("/hit"))) == reply_to("/hit")
    assert not directed(link)
    await client.send(b"lf")
    assert await client.exactly(len(reply_to("/hit"))) == reply_to("/hit")
    assert toxic.hits == 0
    await client.send(HIT)
    assert await client.ending() == "rst"
    assert toxic.hits == 1


async def test_a_stream_that_cannot_be_framed_is_never_directed(link: MessageRig) -> None:
    """It passes, before and after the fault is armed."""
    client = await link.connect()
    await client.send(b"\x16\x03\x01garbage")
    await until(lambda: link.server.received == b"\x16\x03\x01garbage")
    link.fault("cut", match=None)
    await client.send(b"more")
    await until(lambda: link.server.received.endswith(b"more"))
    assert not directed(link)


# -- going ----------------------------------------------------------------------------------------------------------


async def test_with_the_last_fault_the_path_is_plain_again(link: MessageRig) -> None:
    """No seat, no hook but the observer's own; records as before."""
    client = await link.connect()
    await asked(client, "/one")
    before = [(pipe.entered, pipe.rewrite, pipe.passed) for pipe in pipes(link)]
    first, second = link.fault("cut"), link.fault("error", name="e", answer="500")
    await asked(client, "/two")
    link.heal(first)
    assert directed(link)
    link.heal(second)
    assert [pipe.seats for pipe in pipes(link)] == [[], []]
    assert [(pipe.entered, pipe.rewrite, pipe.passed) for pipe in pipes(link)] == before
    await asked(client, "/hit")
    assert [told[1:] for told in await link.told("reply", last="reply", count=3)] == [
        ("GET /one", "200", ()), ("GET /two", "200", ()), ("GET /hit", "200", ()),
    ]  # fmt: skip


async def test_a_fault_that_came_and_went_while_nobody_spoke_leaves_nothing(link: MessageRig) -> None:
    """The hooks are the observer's own again."""
    client = await link.connect()
    await asked(client, "/one")
    before = [pipe.entered for pipe in pipes(link)]
    link.heal(link.fault("cut", at_ns=time.monotonic_ns() + FAR_NS))
    assert [pipe.entered for pipe in pipes(link)] == before
    await asked(client, "/hit")


async def test_leaving_in_the_midst_of_messages_loses_nothing(link: MessageRig) -> None:
    """Half a head, half a body: what was kept back goes on."""
    client = await link.connect()
    toxic = link.fault("cut", match="/never")
    whole = post(b"body", "/hit") + HIT
    await client.send(whole[:-20])
    await until(lambda: pipes(link)[0].received == len(whole) - 20)
    assert pipes(link)[0].held > 0
    link.heal(toxic)
    assert pipes(link)[0].seats == []
    await client.send(whole[-20:])
    replies = reply_to("/hit") * 2
    assert await client.exactly(len(replies)) == replies
    assert [told[1:] for told in await link.told("reply", last="reply", count=2)] == [
        ("POST /hit", "200", ()), ("GET /hit", "200", ()),
    ]  # fmt: skip


async def half_swallowed(link: MessageRig) -> tuple[Any, bytes]:
    """A client whose request is half swallowed by a fault that is over, and the rest of it."""
    client = await link.connect()
    toxic = link.fault("error", answer="500")
    whole = post(b"body", "/hit")
    await client.send(whole[:-2])
    await link.hits(toxic)
    link.heal(toxic)
    return client, whole[-2:]


async def test_what_was_begun_is_brought_to_its_end(link: MessageRig) -> None:
    """A request half swallowed when the fault ends is answered all the same, and the director goes then."""
    client, rest = await half_swallowed(link)
    assert directed(link)
    await client.send(rest + get("/next"))
    got = b""
    while not got.endswith(reply_to("/next")):
        got += await client.recv()
    assert got.startswith(b"HTTP/1.1 500 ")
    await until(lambda: not directed(link))
    assert link.server.targets() == ["/next"]


async def test_a_fault_that_comes_back_finds_the_director_there(link: MessageRig) -> None:
    """Who was about to leave stays."""
    client, rest = await half_swallowed(link)
    again = link.fault("error", answer="501")
    await client.send(rest + HIT)
    got = b""
    while b"HTTP/1.1 501 " not in got:
        got += await client.recv()
    assert got.startswith(b"HTTP/1.1 500 ")
    assert again.hits == 1


async def test_a_withheld_answer_is_delivered_when_the_fault_ends(link: MessageRig) -> None:
    """It is complete or not: the fault did not act."""
    toxic = link.fault("drop", "after", match="/gate")
    client, upstream = await half_answered(link)
    link.heal(toxic)
    assert await client.exactly(20) == reply_to("/gate")[:20]
    await upstream.send(reply_to("/gate")[20:])
    assert await client.exactly(len(reply_to("/gate")) - 20) == reply_to("/gate")[20:]
    assert toxic.hits == 0


async def test_a_fault_that_ends_by_itself_lets_go(link: MessageRig) -> None:
    """`for_ms` is over: what it held goes on, without anybody asking."""
    link.fault("hold", attributes={"hold": FOREVER_MS}, for_ms=50.0)
    await asked(await link.connect(), "/hit")
    assert ("off", "", "ended", ("f",)) in await link.told("off", last="off")


async def test_a_lease_that_runs_out_lets_go(link: MessageRig) -> None:
    """Whoever held it may be dead: what it held goes on, what it made deaf is reset, new connections are served."""
    held, deaf = await link.connect(), await link.connect()
    lease = link.rig.registry.server.leases.acquire(holder="run", ttl_ms=1500, hard_end_ms=60_000)
    link.fault("hold", match="/hold", lease=lease.id, attributes={"hold": FOREVER_MS})
    drop = link.fault("drop", match="/drop", lease=lease.id)
    link.fault("drop", "connect", name="c", match=None, count={"every": 2}, lease=lease.id)
    await held.send(get("/hold"))
    await deaf.send(get("/drop"))
    await link.hits(drop)
    assert await held.exactly(len(reply_to("/hold"))) == reply_to("/hold")
    assert await deaf.ending() == "rst"
    assert link.rig.proxy.toxics == ()
    for _ in range(2):
        await asked(await link.connect(), "/hit")


async def test_nothing_is_left_of_a_directed_connection(link: MessageRig) -> None:
    """Not even for the collector, which stands still while a fault is scheduled."""
    link.fault("hold", attributes={"hold": FOREVER_MS})
    client = await link.connect()
    await client.send(HIT)
    await until(lambda: bool(pipes(link)[0].held))
    gc.disable()
    try:
        (connection,) = link.rig.proxy.connections()
        gone = weakref.ref(connection)
        director = next(weakref.ref(one) for one in gc.get_objects() if isinstance(one, Director))
        del connection
        client.reset()
        await link.rig.settled()
        await asyncio.sleep(0)
        assert gone() is None
        assert director() is None
    finally:
        gc.enable()


# -- several at once ------------------------------------------------------------------------------------------------


async def test_of_several_the_oldest_acts_and_each_counts_its_own(link: MessageRig) -> None:
    """Both take every second message; only one is hit, in turn."""
    older = link.fault("error", answer="500", count={"every": 2})
    younger = link.fault("error", name="y", fault="y", answer="501", match=None, count={"every": 4})
    client = await link.connect()
    codes = []
    for _ in range(8):
        await client.send(HIT)
        got = await client.recv()
        while b"\r\n\r\n" not in got or (b"200 OK" in got and not got.endswith(reply_to("/hit")[-5:])):
            got += await client.recv()
        codes.append(got[9:12].decode())
    assert codes == ["200", "500"] * 4
    assert (older.hits, younger.hits) == (4, 0)


async def test_first_ones_fail_then_it_heals(link: MessageRig) -> None:
    """The most asked for: over connections."""
    link.fault("cut", count={"first": 2})
    ends = []
    for _ in range(4):
        client = await link.connect()
        await client.send(HIT)
        try:
            await client.exactly(len(reply_to("/hit")))
        except ConnectionResetError:
            ends.append("rst")
        else:
            ends.append("ok")
    assert ends == ["rst", "rst", "ok", "ok"]


async def test_a_toxic_behind_it_acts_on_what_passes(link: MessageRig) -> None:
    """A delay beside an error, which it never meets; each exchange names what acted on it, in whatever segment it came."""
    link.rig.proxy.add_toxic(ToxicSpec(type="latency", fault="slow", stream="upstream", attributes={"latency": 5}))
    link.fault("error", answer="500")
    client = await link.connect()
    await client.send(get("/slow") + HIT + get("/miss"))
    got = b""
    while not got.endswith(reply_to("/miss")):
        got += await client.recv()
    assert got.startswith(reply_to("/slow") + b"HTTP/1.1 500 ")
    assert [told[1:] for told in await link.told("reply", last="reply", count=3)] == [
        ("GET /slow", "200", ("slow",)), ("GET /hit", "500", ("f",)), ("GET /miss", "200", ("slow",)),
    ]  # fmt: skip


# -- memory ---------------------------------------------------------------------------------------------------------

MIB = 1024 * 1024


async def test_a_large_answer_streams_through(rig_of: Any) -> None:
    """50 MB past an active director: next to nothing is held at any time."""
    body = bytes(64 * 1024)
    count = 800

    async def flood(peer: Any) -> None:
        await peer.recv()
        await peer.send(ok(b"").replace(b"Content-Length: 0", b"Content-Length: %d" % (len(body) * count)))
        for _ in range(count):
            await peer.send(body)

    rig = await rig_of(flood, protocol=Protocol.HTTP)
    rig.proxy.add_toxic(ToxicSpec(type="cut", phase="after", match="/other"))
    client = await rig.connect()
    await client.send(get("/big"))
    down, got, most = rig.proxy.connections()[0].down, 0, 0
    while got < len(body) * count:
        got += len(await client.recv(1 << 20))
        most = max(most, down.held)
    assert most <= 64 * 1024
    assert down.seats


@pytest.mark.parametrize("phase", ["after", "during:2"])
async def test_a_withheld_answer_is_bounded_and_pauses_its_sender(rig_of: Any, phase: str) -> None:
    """At 1 MiB the answer counts as complete; what is held beside it stops the callee."""

    async def flood(peer: Any) -> None:
        await peer.recv()
        await peer.send(ok(b"").replace(b"Content-Length: 0", b"Content-Length: %d" % (64 * MIB)))
        for _ in range(64):
            await peer.send(bytes(MIB))

    rig = await rig_of(flood, protocol=Protocol.HTTP)
    toxic = rig.proxy.add_toxic(ToxicSpec(type="hold", phase=phase, match="/big", attributes={"hold": FOREVER_MS}))
    client = await rig.connect()
    await client.send(get("/big"))
    down = rig.proxy.connections()[0].down
    await until(lambda: bool(down.paused))
    assert toxic.hits == 1
    assert down.held <= 2 * MIB + 512 * 1024
    rig.proxy.remove_toxic(toxic.name)
    got = 0
    while got < 64 * MIB:
        got += len(await client.recv(1 << 20))
    assert not down.seats


async def test_a_caller_that_does_not_read_pauses_the_callee(rig_of: Any) -> None:
    """Through the director as without one."""

    async def flood(peer: Any) -> None:
        await peer.recv()
        while True:
            await peer.send(STREAM)
            await peer.send(bytes(MIB))

    rig = await rig_of(flood, protocol=Protocol.HTTP)
    rig.proxy.add_toxic(ToxicSpec(type="cut", match="/other"))
    client = await rig.connect()
    await client.send(get("/big"))
    down = rig.proxy.connections()[0].down
    await until(lambda: bool(down.paused))
    assert down.held <= 64 * 1024
