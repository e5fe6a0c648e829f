"""Message faults on NATS streams as laws: whatever the chunks, exactly the messages that match are lost, doubled or garbled."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any

import pytest

from chaos.model.link import Protocol
from chaos.model.wire_record import WireRecord
from chaos.proxy import ToxicSpec
from tests.proxy.conftest import silent
from tests.proxy.directed_rig import directed
from tests.wire.nats_messages import msg, pub

HEADERS = b"NATS/1.0\r\nbaggage: op.id=o1\r\n\r\n"
UP = [
    pub("hit.a", b"hello"), pub("hit.b", b"PUB hit.c 1\r\nx", "", HEADERS), pub("hit.c", b"y" * 300, "_INBOX.1"), pub("miss", b"MSG x 1 1"),
    pub("miss.hit", b"z" * 2000, "_INBOX.2", HEADERS), b"PING\r\n", b"SUB other.* 3\r\n", b"\r\n", pub("$JS.ACK.S.c.1.1.1.1.0", b"+ACK"),
    pub("_INBOX.9", b"answer"), b"CONNECT {}\r\n",
]  # fmt: skip
DOWN = [
    msg("hit.a", b"hello"), msg("hit.b", b"x", "_INBOX.9", HEADERS), msg("miss", b"-ERR"), b"+OK\r\n", b"PONG\r\n", msg("_INBOX.0", b"late"),
    msg("_INBOX.1", b"", "", b"NATS/1.0 503\r\n\r\n"), msg("task", b"t" * 100, "$JS.ACK.S.c.1.1.1.1.0"), b'INFO {"connect_urls":["h:1"]}\r\n',
]  # fmt: skip


async def streams(rig: Any, random: Random) -> tuple[list[tuple[bool, bytes]], dict[bool, bytes]]:
    """Messages both ways, fed to the proxy in random chunks as if they were read so; what went in, and what came out."""
    client, upstream = await rig.pair()
    (connection,) = [one for one in rig.proxy.connections() if one.number == len(rig.clients)]
    async with asyncio.timeout(10):
        while connection.state != "open":
            await asyncio.sleep(0.001)
    said = [(up, random.choice(UP if up else DOWN)) for up in (random.random() < 0.6 for _ in range(40))]
    for up, rest in said:
        pipe = connection.up if up else connection.down
        while rest:
            size = random.choice([1, 2, 5, 30, 3000])
            pipe.feed(rest[:size])
            rest = rest[size:]  # noqa: PLW2901
    connection.up.feed_end()
    connection.down.feed_end()
    return said, {True: await upstream.rest(), False: await client.rest()}


def matching(message: bytes) -> bool:
    """Whether it is one of those that the faults here are about."""
    return message.split(b" ")[0] in (b"PUB", b"HPUB", b"MSG", b"HMSG") and message.split(b" ")[1].startswith(b"hit.")


def expected(said: list[tuple[bool, bytes]], of_up: bool, times: int) -> bytes:
    """What should come out on that side."""
    told = []
    for up, message in said:
        if up is of_up:
            blank = message.replace(b'"h:1"', b" " * 5)
            told.append(blank * times if matching(message) else blank)
    return b"".join(told)


@pytest.mark.parametrize(("type_", "times"), [("drop", 0), ("duplicate", 2)])
async def test_exactly_what_matches_is_lost_or_doubled(rig_of: Any, type_: str, times: int) -> None:
    """All other bytes come out as they went in, in both directions, whatever the chunks; each one that was hit is told once."""
    for seed in range(40):
        rig = await rig_of(silent, protocol=Protocol.NATS)
        rig.proxy.add_toxic(ToxicSpec(type=type_, match="* hit.*"))
        said, out = await streams(rig, Random(seed))
        for up in (True, False):
            assert out[up] == expected(said, up, times), seed
        await rig.settled()
        acted = [record for record in rig.wire() if record.kind == "acted"]
        hit = [message for _, message in said if matching(message)]
        assert len(acted) == len(hit) == rig.proxy.toxics[0].hits
        assert sum(record.op_id == "o1" for record in acted) == sum(message[:1] == b"H" for message in hit)


async def test_a_garbled_message_keeps_its_frame(rig_of: Any) -> None:
    """As many bytes come out, and they are framed as the same messages: only payloads of those that match differ."""
    for seed in range(20):
        rig = await rig_of(silent, protocol=Protocol.NATS)
        rig.proxy.add_toxic(ToxicSpec(type="malform", match="* hit.*"))
        said, out = await streams(rig, Random(seed))
        for up in (True, False):
            came = expected(said, up, 1)
            assert len(out[up]) == len(came)
            at = 0
            for of_up, message in said:
                if of_up is up:
                    got, whole = out[up][at : at + len(message)], came[at : at + len(message)]
                    assert (got != whole) == matching(message)
                    assert got.split(b"\r\n")[0] == whole.split(b"\r\n")[0]
                    assert not matching(message) or b"baggage" not in message or HEADERS in got
                    at += len(message)


async def test_a_held_message_lets_others_by_and_comes_back_whole(rig_of: Any) -> None:
    """With chunks of one byte: what is held goes on when the fault ends, after everything that passed it by."""
    rig = await rig_of(silent, protocol=Protocol.NATS)
    client, upstream = await rig.pair()
    name = rig.proxy.add_toxic(ToxicSpec(type="hold", match="PUB hit.*", attributes={"hold": 3_600_000})).name
    others = pub("miss", b"x") + b"PING\r\n" + pub("miss", b"y")
    for byte in pub("hit.a", b"1") + pub("miss", b"x") + pub("hit.b", b"2") + b"PING\r\n" + pub("miss", b"y"):
        await client.send(bytes([byte]))
    assert await upstream.exactly(len(others)) == others
    assert rig.proxy.connections()[0].up.held == len(pub("hit.a", b"1") * 2)
    rig.proxy.remove_toxic(name)
    held = pub("hit.a", b"1") + pub("hit.b", b"2")
    assert await upstream.exactly(len(held)) == held
    await client.send(others)
    assert await upstream.exactly(len(others)) == others


@pytest.mark.parametrize("half", range(1, len(pub("hit.a", b"hello"))))
async def test_it_comes_and_goes_in_the_midst_of_a_message(rig_of: Any, half: int) -> None:
    """A message that had begun when the fault came passes, as does one that is under way when it goes; none between them does."""
    rig = await rig_of(silent, protocol=Protocol.NATS)
    client, upstream = await rig.pair()
    message, rest = pub("hit.a", b"hello"), b"PING\r\n"
    await client.send(message[:half])
    assert await upstream.exactly(half) == message[:half]
    name = rig.proxy.add_toxic(ToxicSpec(type="drop", match="PUB hit.*")).name
    await client.send(message[half:])
    assert await upstream.exactly(len(message) - half) == message[half:]
    await client.send(message + rest + message[:half])
    assert await upstream.exactly(len(rest)) == rest
    up = rig.proxy.connections()[0].up
    async with asyncio.timeout(10):
        while up.received < 2 * len(message) + len(rest) + half:
            await asyncio.sleep(0.001)
    rig.proxy.remove_toxic(name)
    await client.send(message[half:] + rest)
    assert await upstream.exactly(len(message) + len(rest)) == message + rest
    for peer in (client, upstream):
        peer.half_close()
    await rig.settled()
    told: list[WireRecord] = [record for record in rig.wire() if record.kind in {"request", "acted", "reply"}]
    assert [(record.kind, record.status) for record in told] == [
        ("request", ""),
        ("request", ""),
        ("acted", "before drop"),
        ("reply", "dropped"),
        ("request", ""),
    ]


async def test_the_largest_message_can_be_held(rig_of: Any) -> None:
    """1 MiB, what servers take at most: kept whole, others pass; a second one pauses the sender and nothing is lost."""
    rig = await rig_of(silent, protocol=Protocol.NATS)
    client, upstream = await rig.pair()
    name = rig.proxy.add_toxic(ToxicSpec(type="hold", match="PUB hit.*", attributes={"hold": 3_600_000})).name
    big = pub("hit.big", b"b" * (1 << 20), "", HEADERS)
    await client.send(big + b"PING\r\n")
    assert await upstream.exactly(6) == b"PING\r\n"
    sending = asyncio.create_task(client.send(big * 3 + b"PONG\r\n"))
    async with asyncio.timeout(10):
        while not rig.proxy.connections()[0].up.paused:
            await asyncio.sleep(0.001)
    rig.proxy.remove_toxic(name)
    assert await upstream.exactly(len(big) * 4 + 6) == big * 4 + b"PONG\r\n"
    await sending


async def test_what_is_held_does_not_stop_a_long_message() -> None:
    """More is held than a connection may hold, in the read in which a message begins that is not kept back: it goes through to its end."""
    async with directed(Protocol.NATS) as one:
        one.feed("<", b'INFO {"client_id":7}\r\n')
        one.fault("hold", match="PUB hit.*", attributes={"hold": 3_600_000})
        held, long = pub("hit.a", b"h" * 1000) * 1500, pub("long", b"l" * (2 << 20))
        one.feed(">", held)
        assert not one.lines["<"].paused
        one.feed(">", held + long[:10_000])
        assert (one.out[">"], one.lines["<"].paused) == (long[:10_000], False)
        one.feed(">", long[10_000:])
        assert (one.out[">"], one.lines["<"].paused) == (long, True)
        one.heal()
        assert (one.out[">"], one.lines["<"].paused) == (long + held * 2, False)


async def test_the_end_of_a_stream_in_a_long_message_is_passed_on() -> None:
    """Nothing held can be said behind half a message; the end is not kept back for it."""
    async with directed(Protocol.NATS) as one:
        one.feed("<", b'INFO {"client_id":7}\r\n')
        one.fault("hold", match="PUB hit.*", attributes={"hold": 3_600_000})
        half = pub("long", b"l" * (2 << 20))[:10_000]
        one.feed(">", pub("hit.a") + half)
        one.end(">")
        assert (one.out[">"], one.lines[">"].ending) == (half, "fin")
