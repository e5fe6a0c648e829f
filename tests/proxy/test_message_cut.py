"""A cut in order: what was passed on in front of it arrives, though a toxic or a socket still holds it, and then the RST."""

from __future__ import annotations

from typing import Any

import pytest

from chaos.model.link import Protocol
from chaos.proxy import ToxicSpec
from tests.proxy.conftest import silent
from tests.proxy.directed_rig import directed
from tests.proxy.http_streams import get, ok
from tests.proxy.message_rig import MessageRig, http_link, until_event
from tests.wire.nats_messages import pub

link = http_link


async def test_a_publication_arrives_late_and_is_cut_then(rig_of: Any) -> None:
    """The record says after: so the server has it, whatever delayed it."""
    rig = await rig_of(silent, protocol=Protocol.NATS)
    client, upstream = await rig.pair()
    rig.toxic("latency", "upstream", latency=50)
    rig.proxy.add_toxic(ToxicSpec(type="cut", phase="after", match="PUB t"))
    await client.send(pub("t", b"hi"))
    assert await upstream.exactly(len(pub("t", b"hi"))) == pub("t", b"hi")
    assert (await upstream.ending(), await client.ending()) == ("rst", "rst")
    await rig.settled()
    closed = [record for record in rig.wire() if record.kind == "close"]
    assert [(record.status, record.faults) for record in closed] == [("rst", ("cut_downstream",))]


async def test_items_in_front_of_the_cut_arrive(link: MessageRig) -> None:
    """With latency in the direction of the answer."""
    link.rig.toxic("latency", "downstream", latency=50)
    link.fault("cut", "during:3", match="/stream")
    client = await link.connect()
    await client.send(get("/stream"))
    assert await client.exactly(len(until_event(3))) == until_event(3)
    assert await client.ending() == "rst"


@pytest.mark.parametrize("held", ["blackhole", "slow_close", "bandwidth"])
async def test_it_waits_for_nothing_but_what_is_held(held: str) -> None:
    """A toxic that holds no bytes is not asked, whatever it does with ends of streams."""
    async with directed(Protocol.HTTP) as one:
        one.fault(held, stream="both", attributes={"delay": 3_600_000} if held == "slow_close" else {})
        one.fault("cut", match="/x")
        one.feed(">", get("/x"))
        assert {line.ending for line in one.lines.values()} == {"rst"}


async def test_it_waits_behind_what_a_stall_holds() -> None:
    """Until that is over."""
    async with directed(Protocol.HTTP) as one:
        one.fault("bandwidth", stream="upstream", name="stall")
        one.fault("cut", match="/x")
        one.feed(">", get("/first") + get("/x"))
        assert not one.ended
        one.proxy.remove_toxic("stall")
        assert one.out[">"] == get("/first")
        assert {line.ending for line in one.lines.values()} == {"rst"}


async def test_the_socket_has_what_was_written_first() -> None:
    """As long as it takes no more its side is closed behind that, with an RST; the other side is reset at once."""
    async with directed(Protocol.HTTP) as one:
        one.fault("cut", phase="after", match="/x")
        one.feed(">", get("/first") + get("/x"))
        one.feed("<", ok(b"first"))
        one.lines["<"].get_write_buffer_size = lambda: 1  # type: ignore[method-assign]
        one.feed("<", ok(b"x"))
        assert one.out["<"] == ok(b"first")
        assert {way: line.ending for way, line in one.lines.items()} == {"<": "closed", ">": "rst"}


@pytest.mark.parametrize(("type_", "fin", "passed"), [("truncate", 0, 14), ("cut", 1, 0)])
async def test_a_close_waits_behind_a_stall_and_outlives_its_fault(type_: str, fin: int, passed: int) -> None:
    """What was passed on is not lost when the fault is over first: it arrives with the end of the stall, and so does the end."""
    async with directed(Protocol.HTTP) as one:
        one.fault("bandwidth", stream="upstream", name="stall")
        one.fault(type_, name="f", match="/x", attributes={"fin": fin} if fin else {})
        one.feed(">", get("/first") + get("/x") + get("/never"))
        one.proxy.remove_toxic("f")
        one.feed(">", get("/never"))
        assert (one.out[">"], one.ended) == (b"", False)
        one.proxy.remove_toxic("stall")
        assert one.out[">"] == get("/first") + get("/x")[:passed]
        assert one.ended
