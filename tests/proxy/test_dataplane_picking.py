"""Picked messages, ramps, both streams and limits on real sockets; the new toxics there, too."""

from __future__ import annotations

import asyncio
import struct
import time
from typing import Any

import pytest

from chaos.model.link import Protocol
from chaos.proxy import ToxicSpec
from chaos.proxy.errors import BadAttributesError
from tests.proxy.api_rig import open_rig_api

REPLY = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def request(target: str = "GET /", op: str = "", body: bytes = b"") -> bytes:
    """An HTTP request of an operation."""
    baggage = f"baggage: op.id={op}\r\n" if op else ""
    return f"{target} HTTP/1.1\r\nHost: x\r\n{baggage}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def answer(peer: Any) -> None:
    """An HTTP server that knows one answer and reads requests without bodies."""
    while data := await peer.recv():
        for _ in range(data.count(b"\r\n\r\n")):
            await peer.send(REPLY)
    peer.close()


@pytest.fixture
async def http(rig_of: Any) -> Any:
    """A rig on an HTTP link."""
    return await rig_of(answer, protocol=Protocol.HTTP)


async def outcome(rig: Any, sent: bytes, client: Any = None) -> str:
    """What becomes of one request on a connection of its own (or a given one): `ok` or `rst`."""
    own = client or await rig.connect()
    await own.send(sent)
    try:
        assert await own.exactly(len(REPLY)) == REPLY
    except ConnectionResetError:
        return "rst"
    return "ok"


def add(rig: Any, type_: str, **members: Any) -> Any:
    """A toxic, with extension members."""
    return rig.proxy.add_toxic(ToxicSpec(type=type_, **members))


async def test_the_first_two_fail_then_it_heals(http: Any) -> None:
    """Counted on the link, over connections; the onset spares live connections, since none of their requests is counted yet."""
    live = await http.connect()
    assert await outcome(http, request(), live) == "ok"
    toxic = add(http, "reset", count={"first": 2})
    assert [await outcome(http, request()) for _ in range(4)] == ["rst", "rst", "ok", "ok"]
    assert await outcome(http, request(), live) == "ok"
    assert toxic.hits == 2
    hit = [record.number for record in http.wire() if record.kind == "reply" and record.faults]
    assert len(hit) == 2


async def test_every_nth_and_only_the_nth(http: Any) -> None:
    """On one keep-alive connection the counted exchanges are late, and the others name no fault."""
    add(http, "latency", name="third", count={"every": 3}, attributes={"latency": 5})
    add(http, "latency", name="fourth", count={"nth": 4}, stream="upstream", attributes={"latency": 5})
    client = await http.connect()
    for _ in range(7):
        assert await outcome(http, request(), client) == "ok"
    replies = [record for record in http.wire() if record.kind == "reply"]
    assert [record.faults for record in replies] == [(), (), ("third",), ("fourth",), (), ("third",), ()]


async def test_the_first_attempt_of_each_operation(http: Any) -> None:
    """Per operation; a request that belongs to none is left alone."""
    add(http, "reset", count={"first": 1}, per="operation")
    calls = ["a", "b", "a", "", "b", "c", "c"]
    assert [await outcome(http, request(op=op)) for op in calls] == ["rst", "rst", "ok", "ok", "ok", "rst", "ok"]


async def test_the_first_of_each_connection(http: Any) -> None:
    """Per connection: each has its own first."""
    add(http, "latency", name="slow", count={"first": 1}, per="connection", attributes={"latency": 2})
    for _ in range(2):
        client = await http.connect()
        for _ in range(2):
            await outcome(http, request(), client)
    assert [record.faults for record in http.wire() if record.kind == "reply"] == [("slow",), (), ("slow",), ()]


async def test_only_what_matches(http: Any) -> None:
    """A route with its ids folded, a method, an op id; without a count every one of them."""
    add(http, "reset", match="POST /v1/documents/{id}")
    add(http, "reset", name="op", match="op:bad-*")
    calls = [request("GET /v1/documents/7"), request("POST /v1/documents/8"), request("POST /v1/documents")]
    assert [await outcome(http, one) for one in calls] == ["ok", "rst", "ok"]
    assert [await outcome(http, request(op=op)) for op in ("good", "bad-1")] == ["ok", "rst"]


async def test_a_swallowed_request_is_evidence_and_the_retry_passes(http: Any) -> None:
    """Drop the first, heal by count: the caller gives its connection up and tries again on another."""
    toxic = add(http, "blackhole", stream="upstream", count={"first": 1})
    client = await http.connect()
    await client.send(request("GET /lost"))
    async with asyncio.timeout(10):
        while not toxic.hits:
            await asyncio.sleep(0.001)
    client.close()
    assert await outcome(http, request("GET /lost")) == "ok"
    http.proxy.remove_toxic(toxic.name)
    replies = {record.status: record.faults for record in http.wire() if record.kind == "reply"}
    assert replies == {"aborted": ("blackhole_upstream",), "200": ()}


def query(text: str) -> bytes:
    """A simple query of Postgres' protocol."""
    return b"Q" + struct.pack(">I", len(text) + 5) + text.encode() + b"\0"


READY = b"Z" + struct.pack(">I", 5) + b"I"
DONE = b"C" + struct.pack(">I", 13) + b"SELECT 1\0" + READY
WELCOME = b"R" + struct.pack(">II", 8, 0) + READY


async def postgres(peer: Any) -> None:
    """A server that lets anybody in and has one answer."""
    await peer.recv()
    await peer.send(WELCOME)
    while data := await peer.recv():
        assert data[:1] == b"Q"
        await peer.send(DONE)
    peer.close()


async def test_statements_are_picked_by_their_fingerprint(rig_of: Any) -> None:
    """Every second INSERT is reset, whatever its values; start-up and other statements pass and are not counted."""
    rig = await rig_of(postgres, protocol=Protocol.POSTGRES)
    add(rig, "reset", match="INSERT *", count={"every": 2})
    ends = []
    for text in (
        "SELECT 1",
        "INSERT INTO t VALUES (1)",
        "SELECT 2",
        "INSERT INTO t VALUES (2)",
        "INSERT INTO t VALUES (3)",
    ):
        client = await rig.connect()
        await client.send(struct.pack(">II", 8, 196608))
        await client.exactly(len(WELCOME))
        await client.send(query(text))
        try:
            ends.append((await client.exactly(len(DONE)))[:1])
        except ConnectionResetError:
            ends.append(b"rst")
    assert ends == [b"C", b"C", b"C", b"rst", b"C"]
    hit = [one.signature for one in rig.wire() if one.kind == "reply" and one.faults]
    assert len(hit) == 1
    assert hit[0].startswith("INSERT")
    with pytest.raises(BadAttributesError, match="does not say which operation"):
        add(rig, "latency", match="op:x")


async def test_turns_are_counted_where_nothing_is_framed(rig: Any) -> None:
    """The second turn of each connection is late, however many chunks it has."""
    toxic = add(rig, "latency", count={"nth": 2}, per="connection", attributes={"latency": 20})
    client = await rig.connect()
    late = []
    for _ in range(3):
        start_ns, hits = time.monotonic_ns(), toxic.hits
        await client.send(b"ping")
        assert await client.exactly(4) == b"ping"
        late.append(toxic.hits > hits and time.monotonic_ns() - start_ns >= 20_000_000)
    assert late == [False, True, False]


async def test_operations_cannot_be_told_on_an_unframed_link(rig: Any) -> None:
    """Refused with what to do, and nothing is stored."""
    with pytest.raises(BadAttributesError, match="create the proxy with protocol http"):
        add(rig, "latency", count={"first": 1}, per="operation")
    with pytest.raises(BadAttributesError, match="match needs a link"):
        add(rig, "latency", match="POST")
    assert rig.proxy.toxics == ()


async def test_members_are_echoed_and_refused_over_the_api() -> None:
    """As they were given, where they were given; what means nothing is a 400 that says what to do."""
    async with open_rig_api() as api:
        await api.ask("POST", "/proxies", {"name": "p", "listen": "127.0.0.1:0", "upstream": "127.0.0.1:1"})
        asked = {"type": "latency", "Count": {"First": 2}, "per": "connection", "ramp_ms": 500, "stream": "both",
                 "attributes": {"latency": 3, "latency_us": 250}}  # fmt: skip
        status, shape = await api.ask("POST", "/proxies/p/toxics", asked)
        assert (status, shape["name"]) == (200, "latency_both")
        assert (shape["count"], shape["per"], shape["ramp_ms"]) == ({"first": 2}, "connection", 500)
        assert shape["attributes"] == {"latency": 3, "jitter": 0, "latency_us": 250}
        refused: list[tuple[dict[str, object], str]] = [
            ({"match": "POST"}, "create the proxy with protocol http"),
            ({"count": {"first": "x"}}, "cannot unmarshal string into Go struct field ToxicWrapper.count.first"),
            ({"count": 3}, "cannot unmarshal number into Go struct field ToxicWrapper.count"),
            ({"count": {"last": 3}}, "count is one of"),
            ({"per": "link"}, "give count, too"),
            ({"ramp_ms": -1}, "ramp_ms -1 is negative"),
        ]
        for members, text in refused:
            status, answer_ = await api.ask("POST", "/proxies/p/toxics", {"type": "latency", "name": "x", **members})
            assert (status, text in answer_["error"]) == (400, True), answer_
        assert len((await api.ask("GET", "/proxies/p/toxics"))[1]) == 1


async def test_accept_close_ends_new_connections_with_a_fin(rig: Any) -> None:
    """The upstream hears nothing, live connections go on, the log names the fault; counted, it heals by itself."""
    live = await rig.connect()
    await live.send(b"x")
    await live.exactly(1)
    toxic = add(rig, "accept_close", count={"first": 2})
    for _ in range(2):
        client = await rig.connect()
        assert await client.ending() == "fin"
    await live.send(b"y")
    assert await live.exactly(1) == b"y"
    after = await rig.connect()
    await after.send(b"z")
    assert await after.exactly(1) == b"z"
    assert (len(rig.upstream.peers), toxic.hits) == (2, 2)
    closes = [(record.faults, record.status) for record in rig.wire() if record.kind == "close"]
    assert closes == [(("accept_close_downstream",), "fin")] * 2


async def test_a_black_hole_is_silent_one_way_only(open_rig: Any) -> None:
    """Data and the end of its direction vanish, the other flows; at its end what lost something is reset."""
    client, upstream = await open_rig.pair()
    idle, idle_upstream = await open_rig.pair()
    name = open_rig.toxic("blackhole", "upstream")
    await client.send(b"into the void")
    client.half_close()
    await upstream.send(b"still here")
    assert await client.exactly(10) == b"still here"
    async with asyncio.timeout(10):
        while open_rig.proxy.toxic(name).hits < 2:
            await asyncio.sleep(0.001)
    assert len(open_rig.proxy.connections()) == 2
    open_rig.proxy.remove_toxic(name)
    assert await upstream.ending() == "rst"
    assert await client.ending() == "rst"
    await idle.send(b"z")
    assert await idle_upstream.exactly(1) == b"z"


async def test_corruption_is_the_same_for_the_same_seed(rig: Any) -> None:
    """As many bytes, some of them damaged; another proxy with that seed, link and connection damages the same."""
    data = bytes(5000)
    add(rig, "corrupt", seed=7, attributes={"rate": 20_000})
    got = []
    for _ in range(2):
        rig.proxy.accepted = 0  # the next connection is number 1 again
        client = await rig.connect()
        await client.send(data)
        got.append(await client.exactly(len(data)))
        client.close()
        await rig.settled()
    assert got[0] == got[1] != data


async def test_loss_is_a_stall_that_loses_nothing(rig: Any) -> None:
    """Every byte in order, no sooner than the first retransmission."""
    add(rig, "loss", attributes={"rate": 1_000_000, "delay": 1})
    client = await rig.connect()
    data = bytes(i % 251 for i in range(3000))
    start_ns = time.monotonic_ns()
    await client.send(data)
    assert await client.exactly(len(data)) == data
    assert time.monotonic_ns() - start_ns >= 127_000_000


async def test_one_toxic_on_both_streams(rig: Any) -> None:
    """It delays either direction, is listed first, and goes as a whole."""
    client = await rig.connect()
    add(rig, "noop", name="plain")
    toxic = add(rig, "latency", stream="Both", attributes={"latency": 20})
    assert [one.name for one in rig.proxy.toxics] == ["latency_Both", "plain"]
    start_ns = time.monotonic_ns()
    await client.send(b"x")
    assert await client.exactly(1) == b"x"
    assert time.monotonic_ns() - start_ns >= 40_000_000
    rig.proxy.update_toxic(toxic.name, {"latency": 3_600_000})
    await client.send(b"y")
    async with asyncio.timeout(10):
        while toxic.hits < 3:
            await asyncio.sleep(0.001)
    rig.proxy.remove_toxic(toxic.name)
    assert await client.exactly(1) == b"y"
    assert not rig.proxy.connections()[0].up.seats + rig.proxy.connections()[0].down.seats[1:]


async def test_a_count_on_both_streams_takes_a_message_as_a_whole(http: Any) -> None:
    """Request and reply of the counted exchange are one unit."""
    toxic = add(http, "latency", stream="both", count={"nth": 2}, attributes={"latency": 1})
    client = await http.connect()
    for _ in range(3):
        await outcome(http, request(), client)
    assert toxic.hits == 2


async def test_a_ramp_begins_with_the_fault(rig: Any) -> None:
    """An hour's ramp to an hour's delay: what comes right after the onset is hardly late; a later connection joins the ramp."""
    client = await rig.connect()
    toxic = add(rig, "latency", ramp_ms=3_600_000.0, attributes={"latency": 3_600_000})
    for one in (client, await rig.connect()):
        await one.send(b"x")
        assert await one.exactly(1) == b"x"
    assert toxic.hits >= 1
    assert toxic.ramp_ns == 3_600_000 * 1_000_000


async def test_connections_beyond_the_limit_are_turned_away(rig_of: Any) -> None:
    """With a FIN and a record that says why; a place that is free again is given."""
    rig = await rig_of(max_connections=2)
    first, _ = await rig.connect(), await rig.connect()
    await first.send(b"x")
    await first.exactly(1)
    third = await rig.connect()
    assert await third.ending() == "fin"
    first.close()
    await rig.settled(connections=1)
    fourth = await rig.connect()
    await fourth.send(b"y")
    assert await fourth.exactly(1) == b"y"
    assert [record.status for record in rig.wire() if record.kind == "close"] == ["limit", "fin"]


@pytest.mark.parametrize("strict", [True, False])
async def test_strict_draws_again_as_neighbours_come_and_go(rig_of: Any, strict: bool) -> None:
    """As 2.12 does: on an update, and when the next toxic is added or removed; otherwise the draw is for life."""
    rig = await rig_of(strict=strict)
    for _ in range(40):
        client = await rig.connect()
        await client.send(b"x")
        await client.exactly(1)
    add(rig, "timeout", name="half", toxicity=0.5, seed=7)

    def hit() -> list[int]:
        return [c.number for c in rig.proxy.connections() if any(s.toxic.name == "half" for s in c.down.seats)]

    seen = [hit()]
    add(rig, "noop", name="neighbour")
    seen.append(hit())
    rig.proxy.remove_toxic("neighbour")
    seen.append(hit())
    rig.proxy.update_toxic("half", {}, 0.5)
    seen.append(hit())
    add(rig, "noop", name="other way", stream="upstream")
    assert hit() == seen[-1]
    assert all(0 < len(one) < 40 for one in seen)
    assert len({tuple(one) for one in seen}) == (4 if strict else 1)
    assert len(rig.proxy.connections()) == 40
