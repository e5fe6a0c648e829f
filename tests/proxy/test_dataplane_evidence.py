"""What the wire log says of traffic under faults: exchanges on HTTP links, touches elsewhere."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from chaos.model.link import Protocol
from chaos.model.wire_record import WireRecord
from chaos.proxy import ToxicSpec

REQUEST = (
    b"GET /v1/documents/42 HTTP/1.1\r\nHost: x\r\n"
    b"traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n\r\n"
)
REPLY = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


async def answer(peer: Any) -> None:
    """An HTTP server that knows one answer."""
    while data := await peer.recv():
        for _ in range(data.count(b"\r\n\r\n")):
            await peer.send(REPLY)
    peer.close()


async def exchange(client: Any) -> None:
    """One request and its whole reply."""
    await client.send(REQUEST)
    assert await client.exactly(len(REPLY)) == REPLY


def of(records: list[WireRecord], *kinds: str) -> list[WireRecord]:
    """The records of those kinds, in order."""
    return [record for record in records if record.kind in kinds]


async def collected(rig: Any, kind: str, count: int = 1) -> list[WireRecord]:
    """All records up to the count-th of that kind."""
    records: list[WireRecord] = []
    async with asyncio.timeout(10):
        while len(of(records, kind)) < count:
            records += rig.wire()
            await asyncio.sleep(0.001)
    return records


@pytest.fixture
async def http(rig_of: Any) -> Any:
    """A rig on an HTTP link."""
    return await rig_of(answer, protocol=Protocol.HTTP)


async def test_an_exchange_is_two_records(http: Any) -> None:
    """Request and reply share number, signature and trace; no fault acted."""
    client = await http.connect()
    await exchange(client)
    await exchange(client)
    client.close()
    records = await collected(http, "close")
    assert [record.kind for record in records] == ["open", "request", "reply", "request", "reply", "close"]
    request, reply = records[1], records[2]
    assert (request.signature, request.trace_id, request.faults) == ("GET /v1/documents/{id}", TRACE, ())
    assert (reply.number, reply.status, reply.trace_id, reply.faults) == (1, "200", TRACE, ())
    assert records[4].number == 2


@pytest.mark.parametrize("stream", ["upstream", "downstream"])
async def test_a_delayed_exchange_names_its_fault(http: Any, stream: str) -> None:
    """Only the exchange that was delayed, in whichever direction."""
    client = await http.connect()
    await exchange(client)
    spec = ToxicSpec(type="latency", stream=stream, fault="slow provider", attributes={"latency": 5})
    toxic = http.proxy.add_toxic(spec)
    await exchange(client)
    http.proxy.remove_toxic(toxic.name)
    await exchange(client)
    replies = of(await collected(http, "reply", 3), "reply")
    assert [reply.faults for reply in replies] == [(), ("slow provider",), ()]


async def test_a_reply_that_is_swallowed_is_aborted(http: Any) -> None:
    """The proxy saw it, the caller did not: no reply was delivered."""
    client = await http.connect()
    await exchange(client)
    http.proxy.add_toxic(ToxicSpec(type="timeout", fault="cut", attributes={"timeout": 20}))
    await client.send(REQUEST)
    assert await client.rest() == b""
    records = await collected(http, "close")
    last = of(records, "reply")[-1]
    assert (last.number, last.status, last.faults) == (2, "aborted", ("cut",))
    assert of(records, "close")[0].faults == ("cut",)


async def test_a_reset_request_is_a_request_and_an_aborted_reply(http: Any) -> None:
    """`reset` on the next request of a new connection leaves evidence of both."""
    http.proxy.add_toxic(ToxicSpec(type="reset", fault="rst"))
    client = await http.connect()
    await client.send(REQUEST)
    assert await client.ending() == "rst"
    records = await collected(http, "close")
    assert [record.kind for record in records] == ["on", "open", "request", "reply", "close"]
    assert [(r.status, r.faults) for r in records[3:]] == [("aborted", ("rst",)), ("rst", ("rst",))]


@pytest.mark.parametrize("kind", ["refuse", "reset"])
async def test_onset_aborts_the_open_exchange(rig_of: Any, kind: str) -> None:
    """One close record for each connection cut, its open exchange aborted with the fault."""
    http = await rig_of(lambda peer: asyncio.sleep(0), protocol=Protocol.HTTP)
    client, upstream = await http.pair()
    await client.send(REQUEST)
    await upstream.exactly(len(REQUEST))
    http.proxy.add_toxic(ToxicSpec(type=kind, fault="gone"))
    assert await client.ending() == "rst"
    records = await collected(http, "close")
    assert [(r.status, r.faults) for r in of(records, "reply")] == [("aborted", ("gone",))]
    assert [(r.status, r.faults) for r in of(records, "close")] == [("rst", ("gone",))]


async def test_a_held_request_is_evidence(http: Any) -> None:
    """Under `hang` the request is recorded when it comes, its reply when the hang resets it."""
    name = http.proxy.add_toxic(ToxicSpec(type="hang", fault="wedged")).name
    client = await http.connect()
    await client.send(REQUEST)
    before = await collected(http, "request")
    assert of(before, "reply") == []
    http.proxy.remove_toxic(name)
    assert await client.ending() == "rst"
    reply = of(await collected(http, "close"), "reply")[0]
    assert (reply.status, reply.faults) == ("aborted", ("wedged",))


async def test_a_stream_that_is_no_http_passes_and_says_so(rig_of: Any) -> None:
    """`raw` once, then bytes only, and touches as on any unframed link."""
    rig = await rig_of(protocol=Protocol.HTTP)
    client = await rig.connect()
    garbage = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 20
    await client.send(garbage)
    assert await client.exactly(len(garbage)) == garbage
    rig.toxic("latency", latency=1)
    await client.send(garbage)
    assert await client.exactly(len(garbage)) == garbage
    records = await collected(rig, "touch")
    assert of(records, "raw")
    assert of(records, "request", "reply") == []


async def test_touch_is_recorded_once_per_fault_and_direction(rig: Any) -> None:
    """On an unframed link."""
    client = await rig.connect()
    rig.proxy.add_toxic(ToxicSpec(type="latency", fault="slow", attributes={"latency": 1}))
    rig.proxy.add_toxic(ToxicSpec(type="latency", fault="slow", stream="upstream", attributes={"latency": 1}))
    for _ in range(3):
        await client.send(b"x")
        await client.exactly(1)
    client.close()
    touches = of(await collected(rig, "close"), "touch")
    assert [(touch.direction, touch.faults) for touch in touches] == [(">", ("slow",)), ("<", ("slow",))]
    assert touches[0].connection == 1
