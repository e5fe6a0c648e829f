"""Each message fault at connect, on real HTTP sockets: what the caller sees, what the callee saw, and what the wire log says."""

from __future__ import annotations

import pytest

from tests.proxy.http_streams import get
from tests.proxy.message_rig import FOREVER_MS, MessageRig, asked, http_link, reply_to, until

link = http_link


@pytest.mark.parametrize(("fin", "ending"), [(0, "rst"), (1, "fin")])
async def test_cut_at_connect(link: MessageRig, fin: int, ending: str) -> None:
    """Accepted, then the end; the callee hears nothing, later connections are served."""
    link.fault("cut", "connect", match=None, count={"first": 1}, attributes={"fin": fin})
    try:
        assert await (await link.connect()).ending() == ending
    except ConnectionResetError:  # so soon that connecting itself fails
        assert ending == "rst"
    await asked(await link.connect(), "/miss")
    assert len(link.rig.upstream.peers) == 1
    assert await link.told("acted", "close") == [
        ("acted", "connect", "connect cut", ("f",)),
        ("close", "", ending, ("f",)),
    ]


async def test_hold_at_connect_dials_late(link: MessageRig) -> None:
    """The caller is accepted and waits; over, the callee is dialled at once and everything goes on."""
    toxic = link.fault("hold", "connect", match=None, attributes={"hold": FOREVER_MS})
    client = await link.connect()
    await client.send(get("/miss"))
    await link.hits(toxic)
    assert (link.rig.upstream.peers, link.rig.proxy.connections()[0].state) == ([], "held")
    link.heal(toxic)
    assert await client.exactly(len(reply_to("/miss"))) == reply_to("/miss")


async def test_hold_at_connect_ends_by_itself(link: MessageRig) -> None:
    """After so many milliseconds."""
    link.fault("hold", "connect", match=None, attributes={"hold": 20})
    await asked(await link.connect(), "/miss")


async def test_drop_at_connect_never_serves(link: MessageRig) -> None:
    """Accepted and left alone; reset when the fault is over, while one that was there before goes on."""
    live = await link.connect()
    await asked(live, "/miss")
    toxic = link.fault("drop", "connect", match=None)
    client = await link.connect()
    await client.send(get("/miss"))
    await link.hits(toxic)
    await asked(live, "/still")
    assert len(link.rig.upstream.peers) == 1
    link.heal(toxic)
    assert await client.ending() == "rst"
    await asked(live, "/again")


@pytest.mark.parametrize("silent", ["hang", "drop"])
async def test_nothing_is_answered_where_nobody_is_served(link: MessageRig, silent: str) -> None:
    """An accepted connection that is never dialled is left alone by other faults, armed before it came or afterwards."""
    link.fault("error", name="e1", answer="503")
    hanging = link.fault(silent, "connect" if silent == "drop" else None, match=None)
    client = await link.connect()
    await until(lambda: [one.state for one in link.rig.proxy.connections()] == ["held"])
    later = link.fault("error", name="e2", answer="503")
    await client.send(get("/hit"))
    await until(lambda: link.rig.proxy.connections()[0].up.received == len(get("/hit")))
    assert later.hits == 0
    link.heal(hanging)
    assert await client.ending() == "rst"
    told = [status for _, _, status, _ in await link.told("acted")]
    assert told == (["connect drop"] if silent == "drop" else [])
