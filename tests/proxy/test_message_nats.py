"""Message faults on NATS: nats-py against a real nats-server, and what one message that is lost, late, doubled or wrong does to them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import msgspec
import nats
import nats.errors
import nats.js.errors
import pytest
from nats.js.api import ConsumerConfig

from chaos.model.link import Protocol
from chaos.model.wire_record import WireRecord
from chaos.proxy import Proxy, ProxySettings, Registry, ToxicSpec, open_registry
from chaos.system import NatsServer
from chaos.system.ports import Address

GUARD_S = 20.0
#: Long enough for an answer that comes, short enough to wait for one that does not.
LOST_S = 0.5
ACK_WAIT_S = 0.4


@dataclass
class Link:
    """A proxy in front of the server, with subjects and a stream of its own. `direct` is a client that does not pass the proxy."""

    registry: Registry
    proxy: Proxy
    server: NatsServer
    stack: AsyncExitStack
    name: str
    direct: Any = None

    async def client(self, **options: Any) -> Any:
        """A client through the proxy."""
        host, _, port = self.proxy.listen.rpartition(":")
        return await self.connect(Address(host, int(port)), **options)

    async def connect(self, address: Address, **options: Any) -> Any:
        """A client that is closed in the end."""
        options = {"connect_timeout": 10, "reconnect_time_wait": 0.01, "max_reconnect_attempts": 100, **options}
        client = nats.NATS()
        self.stack.push_async_callback(close, client)  # also one that cannot connect leaves a socket behind
        await client.connect(self.server.url_through(address).reveal(), **options)
        return client

    def fault(self, type_: str, match: str, phase: str = "before", **keys: Any) -> str:
        """Add a message fault for messages of this link's subjects; `{}` in the pattern stands for the link's name."""
        attributes = keys.pop("attributes", {})
        match = match.replace("{}", self.name)
        spec = ToxicSpec(type=type_, fault=type_, match=match, phase=phase, attributes=attributes, **keys)
        return self.proxy.add_toxic(spec).name

    def wire(self) -> list[WireRecord]:
        """All wire records since the last call."""
        with self.registry.server.wire.subscribe() as subscription:
            batches = subscription.take()
        return [record for batch in batches for record in msgspec.msgpack.decode(batch, type=list[WireRecord])]

    def acted(self) -> list[tuple[str, str, str]]:
        """Direction, signature and what was done of each message fault that acted, the link's name left out."""
        told = [record for record in self.wire() if record.kind == "acted"]
        return [(record.direction, record.signature.replace(self.name, "S"), record.status) for record in told]

    async def stored(self) -> int:
        """Messages in the stream."""
        return (await self.direct.jetstream().stream_info(self.name)).state.messages

    async def hear(self, subject: str) -> Any:
        """A subscription that does not pass the proxy."""
        subscription = await self.direct.subscribe(subject)
        await settled(self.direct)
        return subscription


async def settled(client: Any) -> None:
    """The server knows its subscriptions: a single PING may overtake a SUB that is still queued."""
    for _ in range(2):
        await client.flush(GUARD_S)


async def close(client: Any) -> None:
    """Whatever state it is in."""
    await asyncio.wait_for(client.close(), GUARD_S)


async def consume(client: Any, link: Link) -> Any:
    """A pull consumer."""
    config = ConsumerConfig(ack_wait=ACK_WAIT_S)
    return await client.jetstream(timeout=GUARD_S).pull_subscribe(f"{link.name}.>", durable="agent", config=config)


async def one(consumer: Any) -> Any:
    """The next delivery."""
    (message,) = await consumer.fetch(1, timeout=GUARD_S)
    return message


async def until(condition: Any) -> None:
    """Until that is so."""
    async with asyncio.timeout(GUARD_S):
        while not await condition():
            await asyncio.sleep(0.01)


@pytest.fixture
async def link(nats_server: NatsServer) -> AsyncIterator[Link]:
    """A framed link to the server, and a stream for its subjects."""
    async with AsyncExitStack() as stack:
        registry = await stack.enter_async_context(open_registry())
        settings = ProxySettings(
            name="a>nats", listen="127.0.0.1:0", upstream=str(nats_server.address), protocol=Protocol.NATS
        )
        link = Link(registry, await registry.create(settings), nats_server, stack, f"M{uuid4().int % 10**6}x")
        link.direct = await link.connect(nats_server.address)
        await link.direct.jetstream().add_stream(name=link.name, subjects=[f"{link.name}.>"])
        stack.push_async_callback(link.direct.jetstream().delete_stream, link.name)
        yield link


@pytest.mark.parametrize("type_", ["drop", "cut"])
async def test_a_lost_puback_is_found_by_the_message_id(link: Link, type_: str) -> None:
    """The server stored it and nobody heard: who publishes again with the same id stores it once, who does not stores it twice."""
    jetstream = (await link.client()).jetstream(timeout=LOST_S)
    for headers, stored in ({"Nats-Msg-Id": "m1"}, 1), ({}, 3):
        name = link.fault(type_, "PUB {}.*", "after", count={"first": 1})
        with pytest.raises(nats.errors.TimeoutError):
            await jetstream.publish(f"{link.name}.a", b"x", headers=headers)

        async def again(headers: dict[str, str] = headers) -> Any:
            try:
                return await jetstream.publish(f"{link.name}.a", b"x", headers=headers)
            except (nats.errors.Error, nats.js.errors.Error):
                return None  # not connected again yet

        await until(again)
        assert await link.stored() == stored
        assert link.proxy.toxic(name).hits == 1
        link.proxy.remove_toxic(name)
    assert link.acted() == [(">", "PUB S.a", f"after {type_}")] * 2


@pytest.mark.parametrize(
    ("type_", "match", "phase"),
    [("drop", "PUB $JS.ACK.{}.*", "before"), ("drop", "MSG {}.*", "after"), ("cut", "PUB $JS.ACK.{}.*", "before"), ("cut", "MSG {}.*", "after")],
)  # fmt: skip
async def test_a_lost_acknowledgement_makes_it_come_again(link: Link, type_: str, match: str, phase: str) -> None:
    """Delivered, worked on, and not known to be: the second delivery says that it is the second."""
    await link.direct.jetstream().publish(f"{link.name}.a", b"x", headers={"baggage": "op.id=op-1"})
    client = await link.client()
    consumer = await consume(client, link)
    link.fault(type_, match, phase, count={"first": 1})
    first = await one(consumer)
    await first.in_progress()
    await first.ack()
    second: list[Any] = []

    async def delivered() -> bool:
        with suppress(nats.errors.Error, nats.js.errors.Error):  # not connected again yet
            second.extend(await consumer.fetch(1, timeout=LOST_S))
        return bool(second)

    await until(delivered)
    assert (first.metadata.num_delivered, second[0].metadata.num_delivered) == (1, 2)
    await second[0].ack_sync(GUARD_S)
    wire = link.wire()
    assert [(one.status, one.op_id) for one in wire if one.kind == "acted"] == [(f"{phase} {type_}", "op-1")]
    of = [one for one in wire if one.kind in {"request", "reply"} and one.deliveries]
    assert [(one.kind, one.status, one.deliveries, one.faults) for one in of] == [
        ("request", "", 1, ()),
        ("reply", "+WPI", 1, ()),
        ("reply", "dropped", 1, (type_,)),
        ("request", "", 2, ()),
        ("reply", "+ACK", 2, ()),
    ]


async def test_other_kinds_of_acknowledgements_have_names_of_their_own(link: Link) -> None:
    """Progress can be lost while the acknowledgement is not, and the other way round."""
    await link.direct.jetstream().publish(f"{link.name}.a", b"x")
    client = await link.client()
    consumer = await consume(client, link)
    link.fault("drop", "PUB +WPI *")
    message = await one(consumer)
    await message.in_progress()
    await message.nak()
    again = await one(consumer)
    await again.ack_sync(GUARD_S)
    assert again.metadata.num_delivered == 2
    assert link.acted() == [(">", "PUB +WPI $JS.ACK.S.agent", "before drop")]


async def test_a_confirmation_is_lost_after_the_acknowledgement_was_taken(link: Link) -> None:
    """The caller of `ack_sync` hears nothing, and the message does not come again."""
    await link.direct.jetstream().publish(f"{link.name}.a", b"x")
    client = await link.client()
    consumer = await consume(client, link)
    message = await one(consumer)
    link.fault("drop", "PUB $JS.ACK.{}.*", "after", count={"first": 1})
    with pytest.raises(nats.errors.TimeoutError):
        await message.ack_sync(LOST_S)
    told = await link.direct.jetstream().consumer_info(link.name, "agent")
    assert (told.num_ack_pending, told.ack_floor.stream_seq) == (0, 1)


async def test_a_delivery_comes_twice(link: Link) -> None:
    """The same message, both of them the first delivery as far as the server knows; its neighbour comes once."""
    for subject in "ab":
        await link.direct.jetstream().publish(f"{link.name}.{subject}", subject.encode())
    consumer = await consume(await link.client(), link)
    link.fault("duplicate", "MSG {}.a")
    got = [await one(consumer) for _ in range(3)]
    assert sorted(message.data for message in got) == [b"a", b"a", b"b"]
    assert {message.metadata.num_delivered for message in got} == {1}
    assert link.acted() == [("<", "MSG S.a", "before duplicate")]


async def test_a_publication_goes_out_twice(link: Link) -> None:
    """Stored twice without a message id, once with one; the publisher gets one answer."""
    jetstream = (await link.client()).jetstream(timeout=GUARD_S)
    link.fault("duplicate", "PUB {}.*")
    for headers in {}, {"Nats-Msg-Id": "m"}:
        await jetstream.publish(f"{link.name}.a", b"x", headers=headers)

    async def three() -> bool:
        return await link.stored() == 3

    await until(three)
    link.proxy.remove_toxic(link.proxy.toxics[0].name)
    await jetstream.publish(f"{link.name}.a", b"x")
    assert await link.stored() == 4


async def test_a_delivery_is_lost_and_comes_again(link: Link) -> None:
    """Lost before anybody saw it: the first that is seen is the second."""
    for _ in range(2):
        await link.direct.jetstream().publish(f"{link.name}.a", b"x")
    consumer = await consume(await link.client(), link)
    link.fault("drop", "MSG {}.a", count={"nth": 1})
    with pytest.raises(nats.errors.TimeoutError):
        await consumer.fetch(1, timeout=LOST_S)
    seen = []
    for _ in range(2):
        message = await one(consumer)
        seen.append((message.metadata.sequence.stream, message.metadata.num_delivered))
        await message.ack_sync(GUARD_S)
    assert sorted(seen) == [(1, 2), (2, 1)]
    assert link.acted() == [("<", "MSG S.a", "before drop")]


async def test_others_pass_a_message_that_is_held(link: Link) -> None:
    """Publications, pings and deliveries go past it; it goes on when the fault ends, whole."""
    client = await link.client()
    heard = await link.hear(f"{link.name}.>")
    name = link.fault("hold", "PUB {}.held", attributes={"hold": 3_600_000})
    await client.publish(f"{link.name}.held", b"h" * 100_000, headers={"a": "b"})
    await client.publish(f"{link.name}.other", b"o")
    await client.flush(GUARD_S)
    assert (await heard.next_msg(GUARD_S)).subject == f"{link.name}.other"
    link.proxy.remove_toxic(name)
    late = await heard.next_msg(GUARD_S)
    assert (late.subject, late.data, late.headers) == (f"{link.name}.held", b"h" * 100_000, {"a": "b"})


async def test_a_held_answer_comes_late_and_whole(link: Link) -> None:
    """The answer of one request waits, that of the next does not."""
    client = await link.client()

    async def answer(message: Any) -> None:
        await message.respond(b"answer to " + message.data)

    await link.direct.subscribe(f"{link.name}rpc", cb=answer)
    await settled(link.direct)
    name = link.fault("hold", "PUB {}rpc", "after", attributes={"hold": 3_600_000}, count={"first": 1})
    held = asyncio.create_task(client.request(f"{link.name}rpc", b"1", timeout=GUARD_S))
    await until_hits(link, 1)
    assert (await client.request(f"{link.name}rpc", b"2", timeout=GUARD_S)).data == b"answer to 2"
    assert not held.done()
    link.proxy.remove_toxic(name)
    assert (await held).data == b"answer to 1"


async def until_hits(link: Link, hits: int) -> None:
    """Until the first toxic acted so often."""

    async def hit() -> bool:
        return link.proxy.toxics[0].hits >= hits

    await until(hit)


@pytest.mark.parametrize("phase", ["before", "after"])
async def test_no_responders_is_told_in_the_responders_place(link: Link, phase: str) -> None:
    """The caller hears it at once; before, the responder heard nothing; after, it answered and nobody knows."""
    client = await link.client()
    served: list[bytes] = []

    async def answer(message: Any) -> None:
        served.append(message.data)
        await message.respond(b"")

    await link.direct.subscribe(f"{link.name}rpc", cb=answer)
    await settled(link.direct)
    await client.request(f"{link.name}rpc", b"0", timeout=GUARD_S)
    link.fault("error", "PUB {}rpc", phase, answer="no-responders", count={"first": 1})
    with pytest.raises(nats.errors.NoRespondersError):
        await client.request(f"{link.name}rpc", b"1", timeout=3_600)
    await client.request(f"{link.name}rpc", b"2", timeout=GUARD_S)
    assert served == [b"0", b"1", b"2"] if phase == "after" else [b"0", b"2"]
    assert link.acted() == [(">", "PUB Srpc", f"{phase} error")]


async def test_jetstream_refuses_with_a_code(link: Link) -> None:
    """As an error of its API: nothing is stored."""
    jetstream = (await link.client()).jetstream(timeout=3_600)
    link.fault("error", "PUB {}.*", answer="js-503", count={"first": 1})
    with pytest.raises(nats.js.errors.ServiceUnavailableError) as caught:
        await jetstream.publish(f"{link.name}.a", b"x")
    assert caught.value.err_code == 10008
    assert (await jetstream.publish(f"{link.name}.a", b"x")).seq == 1


async def test_the_server_says_err(link: Link) -> None:
    """A violation of permissions is told and the connection stays; after any other error the server hangs up."""
    errors: list[str] = []
    told, closed = asyncio.Event(), asyncio.Event()

    async def on_error(error: Exception) -> None:
        errors.append(str(error))
        told.set()

    async def on_close() -> None:
        closed.set()

    client = await link.client(error_cb=on_error, closed_cb=on_close, allow_reconnect=False)
    heard = await link.hear(f"{link.name}.>")
    name = link.fault("error", "PUB {}.a", answer="-ERR 'Permissions Violation for Publish to x'")
    await client.publish(f"{link.name}.a", b"")
    await asyncio.wait_for(told.wait(), GUARD_S)
    assert errors == ["nats: permissions violation for publish to x"]
    await client.publish(f"{link.name}.b", b"")
    assert (await heard.next_msg(GUARD_S)).subject == f"{link.name}.b"
    link.proxy.remove_toxic(name)
    link.fault("error", "PUB {}.c", answer="-ERR 'Maximum Payload Violation'")
    await client.publish(f"{link.name}.c", b"")
    await asyncio.wait_for(closed.wait(), GUARD_S)
    assert "maximum payload violation" in str(client.last_error)


async def test_a_connection_is_refused_in_the_answer_to_connect(link: Link) -> None:
    """The first of them: an authorization violation as the server would tell it; the next is let in."""
    link.proxy.add_toxic(
        ToxicSpec(type="error", phase="connect", answer="-ERR 'Authorization Violation'", count={"first": 1})
    )
    with pytest.raises(nats.errors.Error, match="Authorization"):
        await link.client(allow_reconnect=False)
    client = await link.client()
    await client.flush(GUARD_S)


async def test_a_cut_before_the_acknowledgement_redelivers_to_the_next_connection(link: Link) -> None:
    """Delivered and worked on, then the connection is gone: after the reconnect it comes a second time."""
    again = asyncio.Event()

    async def reconnected() -> None:
        again.set()

    await link.direct.jetstream().publish(f"{link.name}.a", b"x")
    client = await link.client(reconnected_cb=reconnected)
    consumer = await consume(client, link)
    link.fault("cut", "PUB $JS.ACK.*", count={"first": 1})
    await (await one(consumer)).ack()
    await asyncio.wait_for(again.wait(), GUARD_S)
    second = await one(consumer)
    assert second.metadata.num_delivered == 2
    closes = [record for record in link.wire() if record.kind == "close"]
    assert [(record.status, record.faults) for record in closes] == [("rst", ("cut",))]


async def test_payloads_are_garbled_and_nothing_else(link: Link) -> None:
    """What is published, what is delivered, and an answer: subject, headers and length stay, the text is unreadable."""
    client = await link.client()
    heard = await link.hear(f"{link.name}.>")
    through = await client.subscribe(f"{link.name}.back")
    await settled(client)
    link.fault("malform", "PUB {}.a", count={"first": 1}, name="up")
    link.fault("malform", "MSG {}.back", count={"first": 1}, name="down")
    link.fault("malform", "PUB {}.stored", "after", count={"first": 1}, name="answer")
    await client.publish(f"{link.name}.a", b'{"a": 1}', headers={"k": "v"})
    got = await heard.next_msg(GUARD_S)
    assert (got.headers, len(got.data)) == ({"k": "v"}, 8)
    with pytest.raises(ValueError, match="utf-8"):
        json.loads(got.data)
    for expected in False, True:
        await link.direct.publish(f"{link.name}.back", b'{"b": 1}', headers={"k": "v"})
        got = await through.next_msg(GUARD_S)
        assert (got.headers, got.data == b'{"b": 1}', len(got.data)) == ({"k": "v"}, expected, 8)
    with pytest.raises(ValueError, match="utf-8"):
        await client.jetstream(timeout=GUARD_S).publish(f"{link.name}.stored", b"x")
    assert (await client.jetstream(timeout=GUARD_S).publish(f"{link.name}.stored", b"x")).stream == link.name


async def test_a_truncated_message_ends_the_connection(link: Link) -> None:
    """Half of it went out: the server never takes it for a message, and the client comes back on a new connection."""
    again = asyncio.Event()

    async def reconnected() -> None:
        again.set()

    client = await link.client(reconnected_cb=reconnected)
    heard = await link.hear(f"{link.name}.>")
    link.fault("truncate", "PUB {}.half", count={"first": 1})
    await client.publish(f"{link.name}.half", b"x" * 1000)
    await asyncio.wait_for(again.wait(), GUARD_S)
    await client.publish(f"{link.name}.whole", b"y")
    assert (await heard.next_msg(GUARD_S)).subject == f"{link.name}.whole"


@pytest.mark.parametrize(
    ("per", "lost"),
    [("operation", {"a1", "b1"}), ("link", {"a1"}), ("connection", {"a1", "b2"})],
)
async def test_counts_begin_anew_per_operation_link_or_connection(link: Link, per: str, lost: set[str]) -> None:
    """The first attempt of each operation is lost, of which the baggage tells; or of the link, or of each connection."""
    clients = [await link.client(), await link.client()]
    heard = await link.hear(f"{link.name}.>")
    link.fault("drop", "PUB {}.*", count={"first": 1}, per=per)
    for number, client in enumerate(clients, 1):
        for op in "ab" if number == 1 else "ba":
            headers = {"baggage": f"op.id={op}"}
            await client.publish(f"{link.name}.w", f"{op}{number}".encode(), headers=headers)
            await client.publish(f"{link.name}.w", b"", headers={})
        await client.flush(GUARD_S)
    seen = {(await heard.next_msg(GUARD_S)).data.decode() for _ in range(8 - len(lost))}
    assert {"a1", "b1", "a2", "b2"} - seen == lost
    told = [(record.op_id, record.direction) for record in link.wire() if record.kind == "acted"]
    assert told == [(word[0], ">") for word in sorted(lost)]


async def test_a_fault_is_gone_when_it_is_over(link: Link) -> None:
    """Nothing sits in the way of a connection any more, and what it did stands in the log once."""
    client = await link.client()
    heard = await link.hear(f"{link.name}.>")
    name = link.fault("drop", "PUB {}.*")
    await client.publish(f"{link.name}.lost", b"")
    await client.flush(GUARD_S)
    link.proxy.remove_toxic(name)
    await client.publish(f"{link.name}.after", b"")
    await client.flush(GUARD_S)
    assert (await heard.next_msg(GUARD_S)).subject == f"{link.name}.after"
    assert all(not pipe.seats for connection in link.proxy.connections() for pipe in (connection.up, connection.down))
    assert link.acted() == [(">", "PUB S.lost", "before drop")]
