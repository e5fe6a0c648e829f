"""Counters, connections and events of a proxy of ours, as typed data."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import pytest

from chaos.errors import ProxyError
from chaos.links import LinkControl, Toxic, connect_embedded, embedded_proxy
from chaos.links.frames import split_lines
from chaos.model.link import Link, Protocol
from tests.links.servers import WITHIN_S, echo, in_this_process


@asynccontextmanager
async def linked() -> AsyncIterator[tuple[LinkControl, str]]:
    """A control with the link `a>b` to an echo, and its address."""
    async with in_this_process() as url, echo() as upstream, connect_embedded(url) as control:
        yield control, await control.create(Link(name="a>b"), upstream=upstream)


@asynccontextmanager
async def talking(listen: str) -> AsyncIterator[asyncio.StreamReader]:
    """A connection that has echoed three bytes."""
    host, _, port = listen.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(b"abc")
        async with asyncio.timeout(WITHIN_S):
            assert await reader.readexactly(3) == b"abc"
        yield reader
    finally:
        writer.close()


async def test_counters_and_connections_are_typed() -> None:
    """Bytes by direction, hits by toxic, connections with their client."""
    async with linked() as (control, listen):
        await control.inject("a>b", Toxic(type="slicer", name="thin", attributes={"average_size": 1}))
        async with talking(listen):
            (status,) = await control.status()
            (connection,) = await control.connections("a>b")
        assert (status.name, status.connections, status.sent_bytes) == ("a>b", 1, {"upstream": 3, "downstream": 3})
        assert status.toxics[0].hits > 0
        assert (connection.link, connection.connection, connection.toxics) == ("a>b", 1, ("thin",))
        assert connection.client.startswith("127.0.0.1:")
        with pytest.raises(ProxyError, match="proxy not found"):
            await control.connections("no>such")


@pytest.mark.parametrize("reset", [False, True])
async def test_connections_can_be_ended(reset: bool) -> None:
    """Either way, and twice."""
    async with linked() as (control, listen), talking(listen) as reader:
        (connection,) = await control.connections()
        await control.end_connection(connection.id, reset=reset)
        await control.end_connection(connection.id, reset=reset)
        async with asyncio.timeout(WITHIN_S):
            if reset:
                with pytest.raises(ConnectionResetError):
                    await reader.read()
            else:
                assert await reader.read() == b""


async def test_events_are_typed_and_begin_with_watching() -> None:
    """Times are the proxy's clock; members depend on the kind."""
    async with linked() as (control, _):
        events = control.events()
        async with aclosing(events), asyncio.timeout(WITHIN_S):  # type: ignore[type-var]
            assert (await anext(events)).event == "watching"
            before_ns = await control.now_ns()
            await control.inject("a>b", Toxic(type="noop", name="t"))
            added, on = await anext(events), await anext(events)
        assert (added.event, on.event) == ("toxic.added", "toxic.on")
        assert on.members == {"proxy": "a>b", "toxic": "t", "fault": "t"}
        assert before_ns <= added.t_ns <= on.t_ns


async def test_what_only_ours_can_do_is_passed_on() -> None:
    """A toxic that picks messages, grows, and ends by itself is taken as asked or refused."""
    async with in_this_process() as url, echo() as upstream, connect_embedded(url) as control:
        await control.create(Link(name="a>b", protocol=Protocol.HTTP), upstream=upstream)
        await control.inject(
            "a>b",
            Toxic(
                type="latency", attributes={"latency": 5}, seed=7, for_ms=3_600_000, ramp_ms=10, toxicity=0.3,
                count={"first": 2}, per="operation", match="GET /x",
            ),
        )  # fmt: skip
        (status,) = await control.status()
        assert status.toxics[0].for_ms == 3_600_000
        with pytest.raises(ProxyError, match="count is one of"):
            await control.inject("a>b", Toxic(type="noop", count={"last": 1}))


async def test_a_proxy_of_ones_own_ends_with_its_block() -> None:
    """Flags reach it; one that cannot start says so."""
    async with embedded_proxy("-seed", "7") as url, connect_embedded(url) as control:
        assert await control.status() == ()
    with pytest.raises(ProxyError, match="is the proxy still running"):
        async with connect_embedded(url) as control:
            await control.now_ns()
    with pytest.raises(ProxyError, match="ended before it was ready"):
        async with embedded_proxy("-no-such-flag"):
            raise AssertionError("not reached")


async def test_lines_come_out_as_they_went_in() -> None:
    """Whatever pieces the stream comes in; one cut inside a line is an error."""

    async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
        for part in parts:
            yield part

    assert [line async for line in split_lines(pieces(b"a\nb", b"", b"c\n", b"\n"))] == [b"a", b"bc", b""]
    with pytest.raises(ProxyError, match="inside a line"):
        assert [line async for line in split_lines(pieces(b"a\nb"))]
