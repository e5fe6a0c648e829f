"""nats-py through a framed proxy: its bytes pass as they are, and the wire log tells of its messages and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import nats
import nats.errors
import pytest
from nats.js.api import ConsumerConfig

from chaos.model.link import Protocol
from chaos.model.wire_record import WireRecord
from chaos.proxy import ToxicSpec
from chaos.system import NatsServer
from chaos.system.ports import Address
from tests.listening import listening

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
HEADERS = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01", "baggage": "op.id=r1", "X-Budget-Ms": "900"}


SEATED = pytest.mark.parametrize("seated", [False, True], ids=["plain", "seated"])


def seat(teed: Any) -> None:
    """Have a message fault sit there whose messages never come: all is as it was without it."""
    teed.proxy.add_toxic(ToxicSpec(type="malform", match="PUB never.there"))


@pytest.fixture(params=[False, True], ids=["plain", "seated"])
async def teed(teed_of: Any, nats_server: NatsServer, request: pytest.FixtureRequest) -> Any:
    """A NATS link."""
    teed = await teed_of(Protocol.NATS, nats_server.address)
    if request.param:
        seat(teed)
    return teed


@asynccontextmanager
async def connected(teed: Any, server: NatsServer) -> AsyncIterator[Any]:
    """A client through the link."""
    client = await nats.connect(server.url_through(teed.address).reveal(), allow_reconnect=False, connect_timeout=10)
    try:
        yield client
    finally:
        await asyncio.wait_for(client.close(), 10)


def told(records: list[WireRecord], *words: str) -> list[tuple[str, str, str, str]]:
    """Kind, direction, signature and status of the records whose signature has one of the words."""
    return [
        (row.kind, row.direction, row.signature, row.status)
        for row in records
        if any(word in row.signature for word in words)
    ]


async def test_core_messages(teed: Any, nats_server: NatsServer) -> None:
    """Requests pair with their answers on both sides of a connection; nobody there is a 503; credentials are not told."""
    name = f"t{uuid4().int % 10**6}x"
    async with connected(teed, nats_server) as client:

        async def answer(message: Any) -> None:
            await message.respond(b"y" * 100_000)

        await client.subscribe(f"{name}.sum", cb=answer)
        reply = await client.request(f"{name}.sum", b"x" * 200_000, timeout=10, headers=HEADERS)
        assert len(reply.data) == 100_000
        with pytest.raises(nats.errors.NoRespondersError):
            await client.request(f"{name}.nobody", b"", timeout=10)
        await client.publish(f"{name}.note", b"\r\nPUB x 1\r\n")
        await client.flush(10)
    records = await teed.records()
    teed.assert_untouched()
    assert told(records, "CONNECT", f"{name}.") == [
        ("request", ">", "CONNECT", ""),
        ("request", ">", f"SUB {name}.sum", ""),
        ("request", ">", f"PUB {name}.sum", ""),
        ("request", "<", f"MSG {name}.sum", ""),
        ("reply", ">", f"MSG {name}.sum", "ok"),
        ("reply", "<", f"PUB {name}.sum", "ok"),
        ("request", ">", f"PUB {name}.nobody", ""),
        ("reply", "<", f"PUB {name}.nobody", "503"),
        ("request", ">", f"PUB {name}.note", ""),
    ]
    traced = [row for row in records if row.signature in {f"PUB {name}.sum", f"MSG {name}.sum"}]
    assert {(row.trace_id, row.op_id, row.budget_ms) for row in traced} == {(TRACE, "r1", 900.0)}
    assert nats_server.password.reveal() not in repr(records)


async def test_jetstream_deliveries_and_acknowledgements(teed: Any, nats_server: NatsServer) -> None:
    """Publishing, pulling, refusing and acknowledging are told with delivery counts; message ids are kept."""
    name = f"W{uuid4().int % 10**6}x"
    async with connected(teed, nats_server) as client:
        jetstream = client.jetstream(timeout=10)
        await jetstream.add_stream(name=name, subjects=[f"{name}.>"])
        try:
            await jetstream.publish(f"{name}.17", b"work", headers={**HEADERS, "Nats-Msg-Id": "m1"})
            consumer = await jetstream.pull_subscribe(f"{name}.>", durable="agent", config=ConsumerConfig(ack_wait=30))
            (first,) = await consumer.fetch(1, timeout=10)
            await first.in_progress()
            await first.nak()
            (second,) = await consumer.fetch(1, timeout=10)
            await second.ack_sync(10)
            with pytest.raises(nats.errors.TimeoutError):
                await consumer.fetch(1, timeout=0.1)
        finally:
            await jetstream.delete_stream(name)
    records = await teed.records()
    teed.assert_untouched()
    assert told(records, f"{name}.{{id}}", "$JS.ACK") == [
        ("request", ">", f"PUB {name}.{{id}}", ""),
        ("reply", "<", f"PUB {name}.{{id}}", "ok"),
        ("request", "<", f"MSG {name}.{{id}}", ""),
        ("reply", ">", f"PUB +WPI $JS.ACK.{name}.agent", "+WPI"),
        ("reply", ">", f"PUB -NAK $JS.ACK.{name}.agent", "-NAK"),
        ("request", "<", f"MSG {name}.{{id}}", ""),
        ("reply", ">", f"PUB $JS.ACK.{name}.agent", "+ACK"),
    ]
    messages = [row for row in records if row.trace_id == TRACE]
    assert [row.deliveries for row in messages] == [0, 0, 1, 1, 1, 2, 2]
    assert {row.digest for row in messages} == {"m1"}
    assert ("reply", "<", f"PUB $JS.API.STREAM.CREATE.{name}", "ok") in told(records, "$JS.API")


async def test_an_error_of_the_api_has_its_code(teed: Any, nats_server: NatsServer) -> None:
    """JetStream's own errors are no `ok`."""
    async with connected(teed, nats_server) as client:
        with pytest.raises(nats.js.errors.NotFoundError):
            await client.jetstream(timeout=10).stream_info("NEVER_THERE")
    assert ("reply", "<", "PUB $JS.API.STREAM.INFO.NEVER_THERE", "err 10059") in told(await teed.records(), "$JS.API")


async def test_a_fault_is_named_by_the_messages_it_held(teed: Any, nats_server: NatsServer) -> None:
    """A message without an answer that a fault acted on is told again, with the fault; its neighbours are not."""
    async with connected(teed, nats_server) as client:
        await client.publish("w.before", b"")
        await client.flush(10)
        toxic = teed.proxy.add_toxic(
            ToxicSpec(type="latency", stream="upstream", fault="slow", attributes={"latency": 5})
        )
        await client.publish("w.during", b"", headers=HEADERS)
        await client.flush(10)
        teed.proxy.remove_toxic(toxic.name)
        await client.publish("w.after", b"")
        await client.flush(10)
    records = await teed.records()
    teed.assert_untouched()
    assert [(row.kind, row.signature, row.faults) for row in records if ".during" in row.signature] == [
        ("request", "PUB w.during", ()),
        ("reply", "PUB w.during", ("slow",)),
    ]
    assert not [row for row in records if row.faults and row.signature in {"PUB w.before", "PUB w.after"}]
    assert next(row for row in records if row.kind == "reply" and row.faults).trace_id == TRACE


@SEATED
async def test_connect_urls_do_not_reach_the_client(teed_of: Any, seated: bool) -> None:
    """A server that advertises its cluster cannot lead a client round the proxy; the log says what was changed."""
    info = b'INFO {"server_id":"s","client_id":1,"connect_urls":["127.0.0.1:4242"],"max_payload":1000}\r\n'

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(info)
        await writer.drain()

    async with listening(serve) as server:
        teed = await teed_of(Protocol.NATS, Address(server.host, server.port))
        if seated:
            seat(teed)
        reader, writer = await asyncio.open_connection("127.0.0.1", teed.before.port)
        got = await asyncio.wait_for(reader.read(), 20)
        writer.close()
        records = await teed.records()
    assert got == info.replace(b'"127.0.0.1:4242"', b" " * 16)
    assert [(row.kind, row.signature, row.nbytes) for row in records if row.kind == "rewrite"] == [
        ("rewrite", "INFO", 16)
    ]


@pytest.mark.parametrize(
    "noise", [b"\x16\x03\x01\x02\x00\x01\x00", b"GET / HTTP/1.1\r\n\r\n", b"PUB a 5_0\r\n", bytes(range(256))]
)
@SEATED
async def test_what_cannot_be_framed_passes_byte_for_byte(teed_of: Any, noise: bytes, seated: bool) -> None:
    """Noise in the midst of a good stream, in both directions, and all that follows it; the log says where framing ended."""
    good, later = b"PUB a 2\r\nhi\r\nPING\r\n", bytes(range(256)) * 1000

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"INFO {}\r\n" + await reader.readexactly(len(good + noise + later)))
        writer.write_eof()
        await reader.read()

    async with listening(serve) as server:
        teed = await teed_of(Protocol.NATS, Address(server.host, server.port))
        if seated:
            seat(teed)
        reader, writer = await asyncio.open_connection("127.0.0.1", teed.before.port)
        writer.write(good + noise + later)
        writer.write_eof()
        assert await asyncio.wait_for(reader.read(), 20) == b"INFO {}\r\n" + good + noise + later
        writer.close()
        records = await teed.records()
    teed.assert_untouched()
    assert [row.direction for row in records if row.kind == "raw"] == [">", "<"]
