"""Message faults on NATS: nats-py against a real nats-server, and what one message that is lost, late or wrong does to them."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import nats.errors
import pytest

from chaos.proxy import ToxicSpec
from tests.proxy.nats_rig import GUARD_S, Link, nats_link, settled, until_hits

link = nats_link


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
