"""Each message fault at each phase, on real HTTP sockets: what the caller sees, what the callee saw, and what the wire log says."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.proxy.http_streams import get, post
from tests.proxy.message_rig import FOREVER_MS, STREAM, STREAM_HEAD, MessageRig, event, make_rig, reply_to, until

HIT, MISS, STREAMED = get("/hit"), get("/miss"), get("/stream")
ACTED = ("acted", "reply", "close")


@pytest.fixture
async def link(rig_of: Any) -> MessageRig:
    """A link of HTTP."""
    return await make_rig(rig_of)


async def asked(client: Any, target: str) -> None:
    """An exchange that no fault touches."""
    await client.send(get(target))
    assert await client.exactly(len(reply_to(target))) == reply_to(target)


# -- before ---------------------------------------------------------------------------------------------------------


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


# -- after ----------------------------------------------------------------------------------------------------------


async def test_cut_after(link: MessageRig) -> None:
    """The callee did the work, and the caller hears nothing but the end."""
    link.fault("cut", "after")
    client = await link.connect()
    await client.send(HIT)
    with pytest.raises(ConnectionResetError):
        assert await client.recv() == b"nothing"
    assert link.server.targets() == ["/hit"]
    assert await link.told(*ACTED) == [
        ("acted", "GET /hit", "after cut", ("f",)),
        ("reply", "GET /hit", "aborted", ("f",)),
        ("close", "", "rst", ("f",)),
    ]


async def test_cut_after_waits_for_the_end_of_the_answer(rig_of: Any) -> None:
    """Before its last byte there is no proof that the work was done, and nothing happens."""
    link = await make_rig(rig_of)
    toxic = link.fault("cut", "after", match="/gate")
    client = await link.connect()
    link.server.gate.clear()
    await client.send(get("/gate"))
    upstream = await link.rig.upstream.peer()
    await until(lambda: link.server.targets() == ["/gate"])
    await upstream.send(reply_to("/gate")[:20])
    await until(lambda: link.rig.proxy.connections()[0].down.held == 20)
    assert toxic.hits == 0
    await upstream.send(reply_to("/gate")[20:])
    assert await client.ending() == "rst"
    assert toxic.hits == 1


async def test_an_answer_that_breaks_off_is_no_proof(link: MessageRig) -> None:
    """What was withheld is delivered, and so is the end; the fault did not act."""
    toxic = link.fault("drop", "after")
    link.server.gate.clear()
    client = await link.connect()
    await client.send(HIT)
    upstream = await link.rig.upstream.peer()
    await until(lambda: link.server.targets() == ["/hit"])
    await upstream.send(reply_to("/hit")[:20])
    upstream.half_close()
    assert await client.rest() == reply_to("/hit")[:20]
    assert toxic.hits == 0


async def test_an_answer_without_a_length_is_done_at_the_end(link: MessageRig) -> None:
    """The end of the stream is the proof; the error is told in front of it."""
    link.fault("error", "after", answer="502", match="/close")
    client = await link.connect()
    await client.send(get("/close"))
    assert (await client.rest()).startswith(b"HTTP/1.1 502 Bad Gateway\r\n")


async def test_the_end_of_the_stream_waits_behind_what_is_held(link: MessageRig) -> None:
    """A held answer without a length, then the end, and the exchange is complete in the wire log."""
    toxic = link.fault("hold", "after", match="/close", attributes={"hold": FOREVER_MS})
    client = await link.connect()
    await client.send(get("/close"))
    await link.hits(toxic)
    link.heal(toxic)
    assert (await client.rest()).endswith(b"\r\n\r\nuntil the end")
    client.close()
    assert ("reply", "GET /close", "200", ("f",)) in await link.told(*ACTED)


async def test_what_the_caller_waits_for_is_never_withheld(link: MessageRig) -> None:
    """100 Continue arrives although the answer will not: the work is done, and then the answer is swallowed."""
    toxic = link.fault("cut", "after")
    link.server.gate.clear()
    client = await link.connect()
    whole = post(b"the body", "/hit", "Expect: 100-continue\r\n")
    await client.send(whole[:-8])
    upstream = await link.rig.upstream.peer()
    await until(lambda: link.server.received == whole[:-8])
    await upstream.send(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert await client.exactly(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
    await client.send(whole[-8:])
    link.server.gate.set()
    assert await client.ending() == "rst"
    assert link.server.asked == [("/hit", b"the body")]
    assert toxic.hits == 1


async def test_behind_an_upgrade_everything_passes(link: MessageRig) -> None:
    """Its request and the head of its answer are an exchange; what comes then is no HTTP, whatever it looks like."""
    toxic = link.fault("error", "after", answer="500", match="/never")
    cut = link.fault("cut", name="cut", match="GET /hit")
    link.server.gate.clear()
    client = await link.connect()
    await client.send(get("/ws", "Upgrade: websocket\r\nConnection: upgrade\r\n"))
    upstream = await link.rig.upstream.peer()
    await until(lambda: link.server.targets() == ["/ws"])
    switch = b"HTTP/1.1 101 Switching Protocols\r\n\r\n" + HIT
    await upstream.send(switch)
    assert await client.exactly(len(switch)) == switch
    await client.send(HIT)
    assert await upstream.exactly(len(HIT)) == HIT
    assert (toxic.hits, cut.hits) == (0, 0)


async def test_head_and_chunked_requests(link: MessageRig) -> None:
    """An error in answer to HEAD has no body; a chunked request is over with its last line."""
    link.fault("error", answer="503")
    client = await link.connect()
    await client.send(HIT.replace(b"GET", b"HEAD") + get("/miss"))
    got = b""
    while not got.endswith(reply_to("/miss")):
        got += await client.recv()
    head, _, rest = got.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 ")
    assert rest == reply_to("/miss")
    await client.send(b"POST /hit HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n")
    await until(lambda: link.rig.proxy.connections()[0].up.held == 0)
    await client.send(b"\r\n" + get("/miss"))
    got = b""
    while not got.endswith(reply_to("/miss")):
        got += await client.recv()
    assert got.startswith(b"HTTP/1.1 503 ")
    assert link.server.targets() == ["/miss", "/miss"]


async def test_hold_after_delivers_late_and_whole(link: MessageRig) -> None:
    """Nothing of the answer comes, then all of it, and those behind it in order."""
    toxic = link.fault("hold", "after", attributes={"hold": FOREVER_MS})
    client = await link.connect()
    await client.send(HIT + get("/behind"))
    replies = reply_to("/hit") + reply_to("/behind")
    await until(lambda: link.rig.proxy.connections()[0].down.held == len(replies))
    assert link.server.targets() == ["/hit", "/behind"]
    link.heal(toxic)
    assert await client.exactly(len(replies)) == replies
    assert [(signature, faults) for _, signature, _, faults in await link.told("reply", last="reply", count=2)] == [
        ("GET /hit", ("f",)), ("GET /behind", ()),
    ]  # fmt: skip


async def test_hold_after_ends_by_itself(link: MessageRig) -> None:
    """So many milliseconds after the answer was there."""
    link.fault("hold", "after", attributes={"hold": 20})
    await asked(await link.connect(), "/hit")


async def test_drop_after(link: MessageRig) -> None:
    """The answer vanishes and is told as dropped; the connection says no more, and is reset when the fault is over."""
    toxic = link.fault("drop", "after")
    client = await link.connect()
    await client.send(HIT)
    await link.hits(toxic)
    await client.send(get("/behind"))
    await until(lambda: link.rig.proxy.connections()[0].up.received == len(HIT + get("/behind")))
    assert link.server.targets() == ["/hit"]
    link.heal(toxic)
    assert await client.ending() == "rst"
    assert await link.told(*ACTED) == [
        ("acted", "GET /hit", "after drop", ("f",)),
        ("reply", "GET /hit", "dropped", ("f",)),
        ("reply", "GET /behind", "aborted", ("f",)),
        ("close", "", "rst", ("f",)),
    ]


async def test_error_after(link: MessageRig) -> None:
    """The callee did the work, the caller hears of an error; the connection goes on."""
    link.fault("error", "after", answer="504")
    client = await link.connect()
    await client.send(HIT + get("/behind"))
    got = b""
    while not got.endswith(reply_to("/behind")):
        got += await client.recv()
    assert got.startswith(b"HTTP/1.1 504 Gateway Timeout\r\n")
    assert link.server.targets() == ["/hit", "/behind"]
    assert [told[1:] for told in await link.told("reply", last="reply", count=2)] == [
        ("GET /hit", "504", ("f",)),
        ("GET /behind", "200", ()),
    ]


async def test_truncate_after(link: MessageRig) -> None:
    """The first half of the answer, then the end."""
    link.fault("truncate", "after")
    client = await link.connect()
    await client.send(HIT)
    assert await client.rest() == reply_to("/hit")[: len(reply_to("/hit")) // 2]
    assert ("reply", "GET /hit", "aborted", ("f",)) in await link.told(*ACTED)


async def test_malform_after(link: MessageRig) -> None:
    """Head and length are right, the content is not."""
    link.fault("malform", "after")
    client = await link.connect()
    await client.send(HIT + get("/behind"))
    head, _, body = reply_to("/hit").partition(b"\r\n\r\n")
    assert await client.exactly(len(head) + 4) == head + b"\r\n\r\n"
    got = await client.exactly(len(body))
    assert all(was != now for was, now in zip(body, got, strict=True))
    assert await client.exactly(len(reply_to("/behind"))) == reply_to("/behind")


# -- during ---------------------------------------------------------------------------------------------------------


def until_event(number: int) -> bytes:
    """The stream up to that event, which is left out."""
    return STREAM_HEAD + b"".join(event(one) for one in range(1, number))


@pytest.mark.parametrize("number", [1, 3])
async def test_cut_during(link: MessageRig, number: int) -> None:
    """Everything in front of the item arrives, then an RST."""
    link.fault("cut", f"during:{number}", match="/stream")
    client = await link.connect()
    await client.send(STREAMED)
    assert await client.exactly(len(until_event(number))) == until_event(number)
    with pytest.raises(ConnectionResetError):
        assert await client.recv() == b"nothing"
    assert await link.told(*ACTED) == [
        ("acted", "GET /stream", f"during:{number} cut", ("f",)),
        ("reply", "GET /stream", "aborted", ("f",)),
        ("close", "", "rst", ("f",)),
    ]


async def test_an_item_that_never_comes_is_not_acted_on(link: MessageRig) -> None:
    """The stream has five."""
    toxic = link.fault("cut", "during:6", match="/stream")
    client = await link.connect()
    await client.send(STREAMED)
    assert await client.exactly(len(STREAM)) == STREAM
    await asked(client, "/miss")
    assert toxic.hits == 0


async def test_hold_during(link: MessageRig) -> None:
    """The item and all behind it come late, the next answer too."""
    toxic = link.fault("hold", "during:3", match="/stream", attributes={"hold": FOREVER_MS})
    client = await link.connect()
    await client.send(STREAMED + get("/behind"))
    assert await client.exactly(len(until_event(3))) == until_event(3)
    await link.hits(toxic)
    link.heal(toxic)
    rest = STREAM.removeprefix(until_event(3)) + reply_to("/behind")
    assert await client.exactly(len(rest)) == rest


async def test_drop_during_is_a_stalled_stream(link: MessageRig) -> None:
    """Nothing from the item on; over, the connection is reset."""
    toxic = link.fault("drop", "during:2", match="/stream")
    client = await link.connect()
    await client.send(STREAMED)
    assert await client.exactly(len(until_event(2))) == until_event(2)
    await link.hits(toxic)
    link.heal(toxic)
    assert await client.ending() == "rst"
    assert ("reply", "GET /stream", "aborted", ("f",)) in await link.told(*ACTED)


async def test_truncate_during_ends_in_the_midst_of_an_item(link: MessageRig) -> None:
    """Half of it arrives, then the end."""
    link.fault("truncate", "during:2", match="/stream")
    client = await link.connect()
    await client.send(STREAMED)
    item = event(2)[:-2]  # it is over before the line end of its chunk
    assert await client.rest() == until_event(2) + item[: len(item) // 2]


async def test_malform_during_garbles_one_item(link: MessageRig) -> None:
    """Its chunk stays a chunk, its neighbours are as they were."""
    link.fault("malform", "during:2", match="/stream")
    client = await link.connect()
    await client.send(STREAMED)
    got = await client.exactly(len(STREAM))
    start, stop = len(until_event(2)), len(until_event(3))
    assert got[:start] + got[stop:] == STREAM[:start] + STREAM[stop:]
    assert got[start : start + 3] == STREAM[start : start + 3]
    assert got[start + 3 : stop - 4] == bytes(255 - byte for byte in b"data: 2")


# -- connect --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("fin", "ending"), [(0, "rst"), (1, "fin")])
async def test_cut_at_connect(link: MessageRig, fin: int, ending: str) -> None:
    """Accepted, then the end; the callee hears nothing, later connections are served."""
    link.fault("cut", "connect", match=None, count={"first": 1}, attributes={"fin": fin})
    try:
        assert await (await link.connect()).ending() == ending
    except ConnectionResetError:  # so soon that connecting itself fails
        assert ending == "rst"
    await asked(await link.connect(), "/miss")
    assert len(link.rig.upstream.peers) == 1
    assert await link.told("acted", "close") == [
        ("acted", "connect", "connect cut", ("f",)),
        ("close", "", ending, ("f",)),
    ]


async def test_hold_at_connect_dials_late(link: MessageRig) -> None:
    """The caller is accepted and waits; over, the callee is dialled at once and everything goes on."""
    toxic = link.fault("hold", "connect", match=None, attributes={"hold": FOREVER_MS})
    client = await link.connect()
    await client.send(get("/miss"))
    await link.hits(toxic)
    assert (link.rig.upstream.peers, link.rig.proxy.connections()[0].state) == ([], "held")
    link.heal(toxic)
    assert await client.exactly(len(reply_to("/miss"))) == reply_to("/miss")


async def test_hold_at_connect_ends_by_itself(link: MessageRig) -> None:
    """After so many milliseconds."""
    link.fault("hold", "connect", match=None, attributes={"hold": 20})
    await asked(await link.connect(), "/miss")


async def test_drop_at_connect_never_serves(link: MessageRig) -> None:
    """Accepted and left alone; reset when the fault is over, while one that was there before goes on."""
    live = await link.connect()
    await asked(live, "/miss")
    toxic = link.fault("drop", "connect", match=None)
    client = await link.connect()
    await client.send(get("/miss"))
    await link.hits(toxic)
    await asked(live, "/still")
    assert len(link.rig.upstream.peers) == 1
    link.heal(toxic)
    assert await client.ending() == "rst"
    await asked(live, "/again")
