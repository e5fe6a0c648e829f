"""The toxicity of a message fault: drawn for each message from the seed, its signature and its occurrence; connections have no part in it."""

from __future__ import annotations

from typing import Any

from tests.proxy.http_streams import get
from tests.proxy.message_rig import make_rig


async def taken(rig_of: Any, targets: str, *, connections: int, **members: Any) -> str:
    """Requests for those targets, over so many connections: the target of each that is taken, `.` for each that is not."""
    link = await make_rig(rig_of)
    link.fault("error", answer="503", **{"match": None, "toxicity": 0.5, "seed": 7, **members})
    clients = [await link.connect() for _ in range(connections)]
    told = ""
    for at, target in enumerate(targets):
        client = clients[at % connections]
        await client.send(get(f"/{target}"))
        told += target if (await client.recv()).startswith(b"HTTP/1.1 503") else "."
    return told


async def test_only_some_messages_are_taken(rig_of: Any) -> None:
    """The same ones, however the caller's pool spreads them and whatever other messages are among them."""
    told = await taken(rig_of, "a" * 40, connections=1)
    assert 12 <= told.count("a") <= 28
    assert await taken(rig_of, "a" * 40, connections=7) == told
    mixed = await taken(rig_of, "ab" * 40, connections=3)
    assert mixed[::2] == told
    assert mixed[1::2].replace("b", "a") != told


async def test_another_seed_takes_others(rig_of: Any) -> None:
    """None at all, or all of them, are no matter of a seed."""
    assert await taken(rig_of, "a" * 40, connections=1) != await taken(rig_of, "a" * 40, connections=1, seed=8)
    assert await taken(rig_of, "a" * 9, connections=3, toxicity=0.0) == "." * 9
    assert await taken(rig_of, "a" * 9, connections=3, toxicity=1.0) == "a" * 9


async def test_the_draw_is_among_what_the_count_picks(rig_of: Any) -> None:
    """Half of every third message."""
    told = await taken(rig_of, "a" * 90, connections=2, count={"every": 3})
    assert set(told[::3] + told[1::3]) == {"."}
    assert 8 <= told[2::3].count("a") <= 22
