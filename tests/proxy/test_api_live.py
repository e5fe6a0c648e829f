"""Live counters, the list of connections and their end, and the event stream, on real sockets."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest

from chaos.proxy.events import EVENT_KINDS, EventHub
from tests.proxy.api_rig import Api, echo_server, joined, open_rig_api

HOUR_MS = 3_600_000


async def make(api: Api, name: str, upstream: str) -> str:
    """A proxy to an upstream; its address."""
    status, proxy = await api.ask("POST", "/proxies", {"name": name, "listen": "127.0.0.1:0", "upstream": upstream})
    assert status == 201
    address: str = proxy["listen"]
    return address


async def test_counters_move_while_connections_live() -> None:
    """Bytes each way, connections now and in all, and hits of each toxic are there before a connection ends."""
    async with open_rig_api() as api, echo_server() as upstream:
        listen = await make(api, "a", upstream)
        await api.ask("POST", "/proxies/a/toxics", {"type": "slicer", "attributes": {"average_size": 2}})
        async with joined(listen) as client:
            assert await client.echo(b"0123456789") == b"0123456789"
            (proxy,) = (await api.ask("GET", "/chaos/status"))[1]["proxies"]
    assert proxy["received_bytes"] == proxy["sent_bytes"] == {"upstream": 10, "downstream": 10}
    assert (proxy["connections"], proxy["connections_total"]) == (1, 1)
    assert proxy["toxics"][0]["hits"] >= 1
    assert proxy["toxics"][0]["attributes"]["average_size"] == 2


async def test_connections_are_listed_by_proxy() -> None:
    """Each with its id, client, bytes each way, age and the toxics that hold it."""
    async with open_rig_api() as api, echo_server() as upstream:
        first, second = await make(api, "a", upstream), await make(api, "b c", upstream)
        await api.ask("POST", "/proxies/a/toxics", {"type": "latency"})
        async with joined(first) as one, joined(second) as two:
            await one.echo(b"abc")
            await two.echo(b"abcd")
            _, both = await api.ask("GET", "/chaos/connections")
            _, (mine,) = await api.ask("GET", "/chaos/connections?proxy=b%20c")
            status, shown = await api.ask("GET", f"/chaos/connections/{both[0]['id']}")
            port = one.writer.get_extra_info("sockname")[1]
        assert [(one["proxy"], one["connection"], one["state"]) for one in both] == [
            ("a", 1, "open"),
            ("b c", 1, "open"),
        ]
        assert both[0]["client"] == f"127.0.0.1:{port}"
        assert both[0]["toxics"] == ["latency_downstream"]
        assert both[0]["age_ms"] > 0
        assert mine["received_bytes"] == mine["sent_bytes"] == {"upstream": 4, "downstream": 4}
        assert (status, shown["id"]) == (200, both[0]["id"])
        assert (await api.ask("GET", "/chaos/connections?proxy=none"))[0] == 404


@pytest.mark.parametrize("how", ["fin", "rst"])
async def test_a_connection_can_be_ended_either_way(how: str) -> None:
    """The one named ends as asked, the others go on; a second time there is nothing to end."""
    async with open_rig_api() as api, echo_server() as upstream:
        listen = await make(api, "a", upstream)
        async with joined(listen) as doomed, joined(listen) as other:
            await doomed.echo(b"x")
            await other.echo(b"x")
            _, listed = await api.ask("GET", "/chaos/connections")
            port = doomed.writer.get_extra_info("sockname")[1]
            (number,) = (one["id"] for one in listed if one["client"].endswith(f":{port}"))
            assert (await api.ask("DELETE", f"/chaos/connections/{number}?how={how}"))[0] == 204
            assert await doomed.ending() == how
            assert await other.echo(b"still") == b"still"
            status, error = await api.ask("DELETE", f"/chaos/connections/{number}")
            assert (status, error["error"]) == (404, f"connection {number} not found; it ended, or never was")


async def test_a_connection_that_a_fault_holds_is_listed_and_can_be_ended() -> None:
    """Accepted and never dialled, it has a client all the same."""
    async with open_rig_api() as api:
        listen = await make(api, "a", "127.0.0.1:1")
        await api.ask("POST", "/proxies/a/toxics", {"type": "hang", "name": "wedged"})
        async with api.events() as events, joined(listen) as client:
            client.writer.write(b"anybody there?")
            await events.until("connection.open")
            _, (held,) = await api.ask("GET", "/chaos/connections")
            assert (held["state"], held["toxics"]) == ("held", ["wedged"])
            assert (await api.ask("DELETE", f"/chaos/connections/{held['id']}?how=rst"))[0] == 204
            assert await client.ending() == "rst"
            assert (await events.until("connection.close"))["status"] == "killed"


async def test_all_connections_of_a_proxy_can_be_ended() -> None:
    """Of the proxy named and no other; whose must be said, and how must be a word that is known."""
    async with open_rig_api() as api, echo_server() as upstream:
        first, second = await make(api, "a", upstream), await make(api, "b", upstream)
        async with joined(first) as one, joined(first) as two, joined(second) as spared:
            for client in (one, two, spared):
                await client.echo(b"x")
            assert await api.ask("DELETE", "/chaos/connections?proxy=a&how=rst") == (200, {"ended": 2})
            assert [await one.ending(), await two.ending()] == ["rst", "rst"]
            assert await spared.echo(b"y") == b"y"
        assert (await api.ask("DELETE", "/chaos/connections"))[0] == 400
        assert (await api.ask("DELETE", "/chaos/connections?proxy=a&how=nicely"))[0] == 400
        assert (await api.ask("DELETE", "/chaos/connections/1?how=nicely"))[0] == 400


async def test_events_tell_the_life_of_proxies_toxics_leases_and_connections() -> None:
    """In the order in which it happened, with times that never go back."""
    async with open_rig_api() as api, echo_server() as upstream, api.events() as events:
        listen = await make(api, "a", upstream)
        asked = {"holder": "run-1", "ttl_ms": HOUR_MS, "hard_end_ms": HOUR_MS}
        lease = (await api.ask("POST", "/chaos/leases", asked))[1]["id"]
        await api.ask("POST", "/proxies/a/toxics", {"type": "latency", "name": "t", "lease": lease})
        await api.ask("POST", "/proxies/a/toxics/t", {"attributes": {"latency": 1}})
        async with joined(listen) as client:
            await client.echo(b"xyz")
            await events.until("connection.open")
        await events.until("connection.close")
        await api.ask("DELETE", f"/chaos/leases/{lease}")
        await api.ask("DELETE", "/proxies/a")
        await events.until("proxy.removed")
    assert events.kinds == [
        "watching", "proxy.started", "proxy.created", "lease.acquired", "toxic.added", "toxic.on", "toxic.updated",
        "connection.open", "connection.close", "toxic.off", "lease.ended", "proxy.stopped", "proxy.removed",
    ]  # fmt: skip
    times = [one["t_ns"] for one in events.seen]
    assert times == sorted(times)
    told = {one["event"]: one for one in events.seen}
    assert told["connection.close"]["received_bytes"] == 6
    assert told["connection.close"]["client"] == told["connection.open"]["client"]
    assert (told["toxic.off"]["toxic"], told["toxic.off"]["reason"]) == ("t", "healed")
    assert told["lease.acquired"]["holder"] == "run-1"


async def test_a_slow_reader_of_events_is_bounded_and_told_what_it_lost() -> None:
    """Beyond the bound the oldest lines go, and a line stands where they were with their number."""
    hub = EventHub(limit_bytes=1000)
    with hub.subscribe() as stream:
        for number in range(500):
            hub.emit("toxic.on", proxy="a", number=number)
        assert stream.backlog_bytes <= 1000
        lost, *kept = (json.loads(line) for line in stream.take())
        hub.emit("toxic.off", proxy="a")
        (after,) = (json.loads(line) for line in stream.take())
    assert lost["event"] == "lost"
    assert lost["count"] == 500 + 1 - len(kept)
    assert [one["number"] for one in kept] == list(range(500 - len(kept), 500))
    assert after["event"] == "toxic.off"
    assert hub.emit("toxic.on") is None


async def test_a_reader_that_stood_still_is_told_its_loss_on_the_wire() -> None:
    """What comes after the loss is told as ever, and nobody waited for the reader."""
    async with open_rig_api() as api:
        api.registry.server.events = EventHub(limit_bytes=1000)
        async with api.events() as events:
            for number in range(1000):
                api.registry.server.events.emit("toxic.on", number=number)
            lost = await events.until("lost")
            await make(api, "a", "127.0.0.1:1")
            await events.until("proxy.created")
    numbers = [one["number"] for one in events.seen if one["event"] == "toxic.on"]
    assert lost["count"] + len(numbers) == 1000
    assert numbers == list(range(1000 - len(numbers), 1000))


async def test_only_documented_events_are_told() -> None:
    """The table of kinds is the vocabulary: a proxy driven through everything says nothing else."""
    async with open_rig_api() as api, api.events() as events:
        await make(api, "a", "127.0.0.1:1")
        await api.ask("POST", "/proxies/a", {"enabled": False})
        await api.ask("POST", "/reset")
        await api.ask("DELETE", "/proxies/a")
        await events.until("proxy.removed")
    assert set(events.kinds) <= set(EVENT_KINDS)


async def test_watchers_end_with_the_server() -> None:
    """A reader is not left waiting when the proxy goes."""
    watching = asyncio.Event()

    async def follow(api: Api) -> None:
        async with api.events() as events:
            watching.set()
            await events.until("nothing of the kind")

    async with asyncio.timeout(20):
        async with open_rig_api() as api:
            reading = asyncio.create_task(follow(api))
            await watching.wait()
        (ended,) = await asyncio.gather(reading, return_exceptions=True)
    assert isinstance(ended, (AssertionError, httpx.HTTPError))
