"""Each message fault after the answer, on real HTTP sockets: what the caller sees, what the callee saw, and what the wire log says."""

from __future__ import annotations

import pytest

from tests.proxy.http_streams import get, post
from tests.proxy.message_rig import ACTED, FOREVER_MS, HIT, MessageRig, asked, half_answered, http_link, reply_to, until

link = http_link


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


async def test_cut_after_waits_for_the_end_of_the_answer(link: MessageRig) -> None:
    """Before its last byte there is no proof that the work was done, and nothing happens."""
    toxic = link.fault("cut", "after", match="/gate")
    client, upstream = await half_answered(link)
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
