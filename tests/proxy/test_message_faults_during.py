"""Each message fault in the midst of a stream, on real HTTP sockets: what the caller sees, what the callee saw, and what the wire log says."""

from __future__ import annotations

import pytest

from chaos.model.link import Protocol
from tests.proxy.directed_rig import directed
from tests.proxy.http_streams import get, stream
from tests.proxy.message_rig import (
    ACTED,
    FOREVER_MS,
    STREAM,
    MessageRig,
    asked,
    event,
    http_link,
    reply_to,
    until_event,
)

STREAMED = get("/stream")
link = http_link


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


@pytest.mark.parametrize(
    ("count", "acted"),
    [({"first": 1}, [(2, "cut")]), ({"nth": 2}, [(4, "cut")]), ({"nth": 3}, [(4, "malform")])],
)
async def test_answers_that_are_too_short_are_not_counted(count: dict[str, int], acted: list[tuple[int, str]]) -> None:
    """With a `count` only those are that have such an item; each fault has its own, and the oldest of them acts."""
    async with directed(Protocol.HTTP) as one:
        one.fault("cut", name="cut", fault="cut", phase="during:3", count=count)
        one.fault("malform", name="malform", fault="malform", phase="during:3", count={"every": 2})
        for chunks in ([b"a"], [b"a", b"b", b"c"], [b"a", b"b"], [b"a", b"b", b"c", b"d"]):
            one.feed(">", get("/s"))
            one.feed("<", stream(*chunks))
        assert [(told.number, *told.faults) for told in one.records() if told.kind == "acted"] == acted
