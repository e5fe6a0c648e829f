"""Each message fault before its message, on real HTTP sockets: what the caller sees, what the callee saw, and what the wire log says."""

from __future__ import annotations

import asyncio

import pytest

from tests.proxy.http_streams import get, post
from tests.proxy.message_rig import ACTED, FOREVER_MS, HIT, MessageRig, asked, http_link, reply_to, until

link = http_link


@pytest.mark.parametrize(("fin", "ending"), [(0, "rst"), (1, "fin")])
async def test_cut_before(link: MessageRig, fin: int, ending: str) -> None:
    """The connection ends, and the callee heard nothing of the message."""
    toxic = link.fault("cut", attributes={"fin": fin})
    client = await link.connect()
    await asked(client, "/miss")
    await client.send(HIT)
    assert await client.ending() == ending
    assert link.server.targets() == ["/miss"]
    assert toxic.hits == 1
    assert await link.told(*ACTED) == [
        ("reply", "GET /miss", "200", ()),
        ("acted", "GET /hit", "before cut", ("f",)),
        ("reply", "GET /hit", "aborted", ("f",)),
        ("close", "", ending, ("f",)),
    ]


async def test_hold_before_holds_what_is_behind_it(link: MessageRig) -> None:
    """Requests in front of it pass, it and those behind it wait; in order they go on when it is over, and none is marked but it."""
    toxic = link.fault("hold", attributes={"hold": FOREVER_MS})
    client = await link.connect()
    await client.send(get("/first") + HIT + get("/behind"))
    await client.exactly(len(reply_to("/first")))
    await client.send(get("/later"))
    await until(lambda: link.rig.proxy.connections()[0].up.held >= len(HIT + get("/behind") + get("/later")))
    assert link.server.targets() == ["/first"]
    link.heal(toxic)
    rest = reply_to("/hit") + reply_to("/behind") + reply_to("/later")
    assert await client.exactly(len(rest)) == rest
    assert link.server.targets() == ["/first", "/hit", "/behind", "/later"]
    told = await link.told("reply", last="reply", count=4)
    assert [(signature, faults) for _, signature, _, faults in told] == [
        ("GET /first", ()), ("GET /hit", ("f",)), ("GET /behind", ()), ("GET /later", ()),
    ]  # fmt: skip


async def test_hold_ends_by_itself(link: MessageRig) -> None:
    """After so many milliseconds, whatever the fault does."""
    link.fault("hold", attributes={"hold": 20})
    client = await link.connect()
    loop = asyncio.get_running_loop()
    start = loop.time()
    await asked(client, "/hit")
    assert loop.time() - start >= 0.02


async def test_drop_before(link: MessageRig) -> None:
    """The callee never hears of it; what was asked before has its answer, what comes behind it none; over, the connection is reset."""
    link.server.gate.clear()
    toxic = link.fault("drop")
    client = await link.connect()
    await client.send(get("/first") + HIT + get("/behind"))
    await link.hits(toxic)
    link.server.gate.set()
    assert await client.exactly(len(reply_to("/first"))) == reply_to("/first")
    await client.send(get("/later"))
    await until(
        lambda: link.rig.proxy.connections()[0].up.received == len(get("/first") + HIT + get("/behind") + get("/later"))
    )
    assert link.rig.proxy.connections()[0].up.held == 0
    link.heal(toxic)
    assert await client.ending() == "rst"
    assert link.server.targets() == ["/first"]
    assert await link.told(*ACTED) == [
        ("acted", "GET /hit", "before drop", ("f",)),
        ("reply", "GET /first", "200", ()),
        ("reply", "GET /hit", "aborted", ("f",)),
        ("reply", "GET /behind", "aborted", ("f",)),
        ("reply", "GET /later", "aborted", ("f",)),
        ("close", "", "rst", ("f",)),
    ]


async def test_a_deaf_connection_keeps_its_peers_ends_to_itself(link: MessageRig) -> None:
    """The caller gives up; the callee is not told before the fault is over."""
    toxic = link.fault("drop")
    client = await link.connect()
    await client.send(HIT)
    await link.hits(toxic)
    client.half_close()
    await asked(await link.connect(), "/miss")
    assert len(link.rig.proxy.connections()) == 2
    link.heal(toxic)
    assert await client.ending() == "rst"


async def test_error_before(link: MessageRig) -> None:
    """The answer comes in its order, the callee hears nothing, neighbours in the same segment are untouched, the connection goes on."""
    link.server.gate.clear()
    toxic = link.fault("error", answer="503", attributes={"retry_after": 1500})
    client = await link.connect()
    await client.send(get("/first") + HIT + get("/behind"))
    await link.hits(toxic)
    link.server.gate.set()
    assert await client.exactly(len(reply_to("/first"))) == reply_to("/first")
    head = b"HTTP/1.1 503 Service Unavailable\r\n"
    got = await client.exactly(len(head))
    while not got.endswith(reply_to("/behind")):
        got += await client.recv()
    assert got.startswith(head)
    assert b"Retry-After: 2\r\n" in got
    assert link.server.targets() == ["/first", "/behind"]
    await asked(client, "/miss")
    assert await link.told("acted", "reply", last="reply", count=4) == [
        ("acted", "GET /hit", "before error", ("f",)),
        ("reply", "GET /first", "200", ()),
        ("reply", "GET /hit", "503", ("f",)),
        ("reply", "GET /behind", "200", ()),
        ("reply", "GET /miss", "200", ()),
    ]
    assert [one.retry_after_s for one in link.records if one.status == "503"] == [2.0]


async def test_error_before_swallows_a_body_as_it_comes(link: MessageRig) -> None:
    """It is told when the request is over; nothing of it is kept."""
    link.fault("error", answer="413")
    client = await link.connect()
    body = bytes(3_000_000)
    whole = post(body, "/hit")
    await client.send(whole[:-1])
    await until(lambda: link.rig.proxy.connections()[0].up.received == len(whole) - 1)
    assert link.rig.proxy.connections()[0].up.held == 0
    await client.send(whole[-1:])
    assert (await client.recv()).startswith(b"HTTP/1.1 413 ")
    assert link.server.received == b""


async def test_error_before_a_body_that_waits(link: MessageRig) -> None:
    """Who expects 100 Continue is told at once, and that the connection ends."""
    link.fault("error", answer="417")
    client = await link.connect()
    await client.send(post(b"never sent", "/hit", "Expect: 100-continue\r\n")[:-10])
    got = await client.rest()
    assert got.startswith(b"HTTP/1.1 417 Expectation Failed\r\n")
    assert b"Connection: close\r\n" in got


async def test_truncate_before(link: MessageRig) -> None:
    """The first half of the request reaches the callee, then the end."""
    link.fault("truncate")
    client = await link.connect()
    whole = post(b"x" * 1000, "/hit")
    await client.send(whole[:100])
    await client.send(whole[100:])
    assert await client.ending() == "fin"
    upstream = await link.rig.upstream.peer()
    await until(lambda: len(link.server.received) == len(whole) // 2)
    assert link.server.received == whole[: len(whole) // 2]
    assert await upstream.recv() == b""
    assert link.server.asked == []


async def test_malform_before(link: MessageRig) -> None:
    """The callee gets as much content as was sent, and none of it is right; the head is."""
    link.fault("malform")
    client = await link.connect()
    body = b'{"question": "what is it?"}\n' * 50
    await client.send(post(body, "/hit"))
    await client.exactly(len(reply_to("/hit")))
    ((target, got),) = link.server.asked
    assert target == "/hit"
    assert len(got) == len(body)
    assert not {was for was, now in zip(body, got, strict=True) if was == now} - set(b"\n")


async def test_malform_lets_a_message_without_content_be(link: MessageRig) -> None:
    """There is nothing to garble, so it did not act."""
    toxic = link.fault("malform")
    await asked(await link.connect(), "/hit")
    assert toxic.hits == 0


@pytest.mark.parametrize("phase", ["before", "after"])
async def test_a_connection_that_is_deaf_does_not_outlive_its_caller(link: MessageRig, phase: str) -> None:
    """Who gave up and closed leaves nothing behind while the fault lasts; the callee hears an RST, and the record says why."""
    toxic = link.fault("drop", phase)
    clients = [await link.connect() for _ in range(3)]
    for client in clients:
        await client.send(HIT)
    await link.hits(toxic, 3)
    for client in clients[:2]:
        client.close()
    await link.rig.settled(connections=1)
    assert await link.told("close", count=2) == [("close", "", "rst", ("f",))] * 2
    link.heal(toxic)
    assert await clients[2].ending() == "rst"


async def test_who_closed_its_direction_first_is_not_forgotten(link: MessageRig) -> None:
    """Its end was passed on before its answer was lost."""
    link.server.gate.clear()
    toxic = link.fault("drop", "after")
    client = await link.connect()
    await client.send(HIT)
    await until(lambda: link.server.targets() == ["/hit"])
    client.half_close()
    link.server.gate.set()
    await link.hits(toxic)
    assert await client.ending() == "rst"
    assert await link.told("close") == [("close", "", "rst", ("f",))]
