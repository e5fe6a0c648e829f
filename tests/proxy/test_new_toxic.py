"""A new toxic is one file: the example of the page on writing one, put into the folder and driven over the API."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from chaos.proxy import toxics
from chaos.proxy.stage import MS, End
from tests.proxy.api_rig import echo_server, joined, open_rig_api
from tests.proxy.shown_toxic import shown_toxic


@pytest.fixture
def hiccup(tmp_path: Path) -> Iterator[str]:
    """The page's example as a file of the folder, for one test."""
    with shown_toxic("writing-a-toxic.md", "hiccup", tmp_path, below_lines=65) as shown:
        yield shown


def test_it_is_found_by_being_there(hiccup: str) -> None:
    """Beside all the others; without it the table is as before."""
    assert {hiccup, "latency", "hang"} <= set(toxics.TOXIC_TYPES)


def test_its_stage_under_an_injected_clock(hiccup: str) -> None:
    """700 ms pass, 300 do not; an end stays behind the data; removal gives back what is held."""
    kind = toxics.TOXIC_TYPES[hiccup]
    assert kind.stage is not None
    stage = kind.stage(kind.decode({"period": 1000, "pause": 300}), lambda: Random(1), 0)
    assert stage.data(b"a", 699 * MS) == [b"a"]
    assert not stage.acted
    assert stage.data(b"b", 700 * MS) == []
    assert stage.end(End.FIN, 800 * MS) == []
    assert (stage.held, stage.wake_ns, stage.acted) == (1, 1000 * MS, True)
    assert stage.wake(1000 * MS) == [b"b", End.FIN]
    assert stage.data(b"c", 1900 * MS) == []
    assert stage.remove(1901 * MS) == [b"c"]


async def test_it_works_over_the_api_with_everything_that_toxics_have(hiccup: str) -> None:
    """Created, refused, updated, counted, scheduled and removed like any other."""
    async with open_rig_api() as api, echo_server() as upstream:
        await api.ask("POST", "/proxies", {"name": "p", "listen": "127.0.0.1:0", "upstream": upstream})
        status, shape = await api.ask(
            "POST", "/proxies/p/toxics", {"type": hiccup, "attributes": {"pause": 20, "period": 25}, "seed": 7, "stream": "both"}
        )  # fmt: skip
        assert (status, shape["name"], shape["attributes"]) == (200, "hiccup_both", {"period": 25, "pause": 20})
        status, refused = await api.ask(
            "POST", "/proxies/p/toxics", {"type": hiccup, "name": "x", "attributes": {"pause": -1}}
        )
        assert (status, refused["error"][:17]) == (400, "bad request body:")
        async with joined(api.registry.get("p").listen) as client:
            async with asyncio.timeout(20):
                while not api.registry.get("p").toxic("hiccup_both").hits:
                    assert await client.echo(b"through the pauses") == b"through the pauses"
        status, shape = await api.ask("PATCH", "/proxies/p/toxics/hiccup_both", {"attributes": {"pause": 1}})
        assert (status, shape["attributes"]["pause"]) == (200, 1)
        assert (await api.ask("DELETE", "/proxies/p/toxics/hiccup_both"))[0] == 204
        counted = {"type": hiccup, "count": {"first": 1}, "for_ms": 60_000, "ramp_ms": 5}
        assert (await api.ask("POST", "/proxies/p/toxics", counted))[0] == 200
