"""Message faults on JetStream: publications, deliveries and acknowledgements that are lost, doubled or refused, and what is stored."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import nats.errors
import nats.js.errors
import pytest

from tests.proxy.nats_rig import GUARD_S, LOST_S, Link, consume, nats_link, one, until

link = nats_link


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


async def test_jetstream_refuses_with_a_code(link: Link) -> None:
    """As an error of its API: nothing is stored."""
    jetstream = (await link.client()).jetstream(timeout=3_600)
    link.fault("error", "PUB {}.*", answer="js-503", count={"first": 1})
    with pytest.raises(nats.js.errors.ServiceUnavailableError) as caught:
        await jetstream.publish(f"{link.name}.a", b"x")
    assert caught.value.err_code == 10008
    assert (await jetstream.publish(f"{link.name}.a", b"x")).seq == 1


@pytest.mark.parametrize("answer", ["js-503", "js-503-10077", "no-responders"])
async def test_who_pulls_is_refused_and_given_no_work(link: Link, answer: str) -> None:
    """By a status, which nobody takes for a task; the next pull is served."""
    consumer = await consume(await link.client(), link)
    await link.direct.jetstream().publish(f"{link.name}.a", b"x")
    link.fault("error", "PUB $JS.API.CONSUMER.MSG.NEXT.*", answer=answer, count={"first": 1})
    with pytest.raises(nats.js.errors.ServiceUnavailableError):
        await consumer.fetch(1, timeout=GUARD_S)
    assert (await one(consumer)).data == b"x"


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
