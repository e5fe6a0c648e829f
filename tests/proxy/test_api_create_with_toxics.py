"""A proxy created together with its toxics: all or nothing, and only when the request asks for it."""

from __future__ import annotations

from typing import Any

import pytest

from chaos.links import probe_connect
from chaos.proxy import Options
from tests.proxy.api_rig import echo_server, joined, open_rig_api

TOXICS = [
    {"type": "slicer", "name": "thin", "attributes": {"average_size": 1}},
    {"type": "latency", "stream": "upstream", "attributes": {"latency": 1}},
]


def proxy(**members: Any) -> dict[str, Any]:
    """A proxy's body."""
    return {"name": "a", "listen": "127.0.0.1:0", "upstream": "127.0.0.1:1", **members}


async def test_toxics_are_there_before_the_first_connection() -> None:
    """One request creates both; the first byte meets the chain."""
    async with open_rig_api() as api, echo_server() as upstream:
        status, made = await api.ask("POST", "/proxies?toxics=1", proxy(upstream=upstream, toxics=TOXICS))
        assert status == 201
        assert [(one["name"], one["stream"]) for one in made["toxics"]] == [
            ("latency_upstream", "upstream"), ("thin", "downstream"),
        ]  # fmt: skip
        async with joined(made["listen"]) as client:
            assert await client.echo(b"abc") == b"abc"
        (shown,) = (await api.ask("GET", "/chaos/status"))[1]["proxies"]
        assert all(one["hits"] > 0 for one in shown["toxics"])


async def test_a_link_may_begin_refused() -> None:
    """With `refuse` in its body a proxy never accepts anybody, until the toxic goes."""
    async with open_rig_api() as api:
        _, made = await api.ask("POST", "/proxies?toxics=1", proxy(toxics=[{"type": "refuse", "name": "gone"}]))
        assert await probe_connect(made["listen"]) == "refused"
        await api.ask("DELETE", "/proxies/a/toxics/gone")
        assert await probe_connect(made["listen"]) == "accepted"


@pytest.mark.parametrize("target", ["/proxies", "/proxies?toxics=0"])
async def test_a_plain_clients_toxics_stay_ignored(target: str) -> None:
    """Clients post back what they were shown: without the query it means nothing, whatever it is."""
    async with open_rig_api() as api:
        status, made = await api.ask("POST", target, proxy(toxics=TOXICS))
        assert (status, made["toxics"]) == (201, [])
        assert (await api.ask("POST", target, proxy(name="b", toxics="x")))[0] == 201


async def test_strict_ignores_toxics_of_a_body() -> None:
    """2.12 does not know the query."""
    async with open_rig_api(Options(strict=True)) as api:
        _, made = await api.ask("POST", "/proxies?toxics=1", proxy(toxics=TOXICS))
        assert made["toxics"] == []


@pytest.mark.parametrize(
    ("bad", "status", "text"),
    [
        ({"type": "none"}, 400, "invalid toxic type at toxic 2"),
        ({"type": "noop", "stream": "up"}, 400, "stream was invalid, can be either upstream or downstream at toxic 2"),
        ({"type": "slicer", "name": "first"}, 409, "toxic already exists at toxic 2"),
        ({"type": "latency", "attributes": {"latency": "x"}}, 400, "bad request body: json: cannot unmarshal"),
        ({"type": "noop", "lease": "none"}, 404, "lease 'none' not found"),
        (7, 400, "bad request body: json: cannot unmarshal number"),
    ],
)
async def test_one_bad_toxic_and_nothing_is_created(bad: Any, status: int, text: str) -> None:
    """The answer says which; no proxy, no port, no toxic is left, and no record of one."""
    async with open_rig_api() as api:
        toxics = [{"type": "latency", "name": "first"}, bad]
        answered, error = await api.ask("POST", "/proxies?toxics=1", proxy(toxics=toxics))
        assert (answered, error["error"][: len(text)]) == (status, text)
        assert (await api.ask("GET", "/proxies"))[1] == {}
        with api.registry.server.wire.subscribe() as wire:
            assert wire.take() == []


async def test_an_address_in_use_leaves_nothing_either() -> None:
    """The toxics of a proxy that cannot listen were never there."""
    async with open_rig_api() as api, echo_server() as taken:
        status, _ = await api.ask("POST", "/proxies?toxics=1", proxy(listen=taken, toxics=TOXICS))
        assert status == 500
        with api.registry.server.wire.subscribe() as wire:
            assert wire.take() == []


async def test_a_disabled_proxy_takes_its_toxics_too() -> None:
    """They act once it is enabled."""
    async with open_rig_api() as api, echo_server() as upstream:
        body = proxy(upstream=upstream, enabled=False, toxics=TOXICS)
        _, made = await api.ask("POST", "/proxies?toxics=1", body)
        assert len(made["toxics"]) == 2
        _, enabled = await api.ask("POST", "/proxies/a", {"enabled": True})
        async with joined(enabled["listen"]) as client:
            assert await client.echo(b"abc") == b"abc"
        (shown,) = (await api.ask("GET", "/chaos/status"))[1]["proxies"]
        assert all(one["hits"] > 0 for one in shown["toxics"])


async def test_populate_takes_toxics_when_asked() -> None:
    """New and replaced proxies come with theirs; one that is as it should be stays untouched."""
    async with open_rig_api() as api:
        listen = (await api.ask("POST", "/proxies", proxy()))[1]["listen"]
        wanted = [proxy(listen=listen, toxics=TOXICS), proxy(name="b", toxics=TOXICS[:1])]
        status, answer = await api.ask("POST", "/populate?toxics=1", wanted)
        assert (status, [len(one["toxics"]) for one in answer["proxies"]]) == (201, [0, 1])
        wanted = [proxy(listen=listen, upstream="127.0.0.1:2", toxics=TOXICS)]
        _, answer = await api.ask("POST", "/populate?toxics=1", wanted)
        assert len(answer["proxies"][0]["toxics"]) == 2
