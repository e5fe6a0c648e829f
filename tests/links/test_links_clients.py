"""What the control plane does when the other side is dead, odd or silent."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos.errors import ProxyError
from chaos.links import LinkControl, Toxic, connect_embedded, connect_toxiproxy, probe_connect
from chaos.links.frames import split_frames
from chaos.links.http import open_api
from chaos.model.link import Link
from tests.listening import listening

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def answering(reply: bytes | None) -> AsyncIterator[str]:
    """A server that answers every request with these bytes and closes, or with None never answers."""
    if reply is None:
        # The kernel accepts for it; nobody reads.
        with socket.create_server(("127.0.0.1", 0)) as mute:
            yield f"http://127.0.0.1:{mute.getsockname()[1]}"
        return

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(reply)
        await writer.drain()

    async with listening(serve) as server:
        yield f"http://{server.address}"


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        (b"", "is the proxy still running"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "did not answer JSON"),
        (b"HTTP/1.1 503 No\r\nContent-Length: 9\r\n\r\n<html>hi>", "503 <html>hi>"),
        (b'HTTP/1.1 500 No\r\nContent-Length: 15\r\n\r\n{"error":"full"}', "500"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", "is the proxy still running"),
    ],
    ids=["closes", "no-json", "html-error", "json-error", "cut"],
)
async def test_every_odd_answer_is_a_proxy_error(reply: bytes, text: str) -> None:
    """The message names the address, the call and what came of it."""
    async with answering(reply) as url, connect_embedded(url) as control:
        with pytest.raises(ProxyError, match=text) as failed:
            await control.now_ns()
        assert "GET /chaos/now" in str(failed.value)


async def test_a_server_that_never_answers_is_given_up() -> None:
    """Every call has a deadline of its own."""
    async with answering(None) as url, open_api(url, call_within_s=0.05) as api:
        with pytest.raises(ProxyError, match=r"no answer within 0\.05 s"):
            await api.call("GET", "/version")
        with pytest.raises(ProxyError, match=r"no answer within 0\.05 s"):
            await api.stream("/chaos/wire").__aenter__()


CALLS: dict[str, Callable[[LinkControl], Awaitable[object]]] = {
    "now_ns": lambda links: links.now_ns(),
    "acquire": lambda links: links.acquire(holder="h", ttl_ms=1, hard_end_ms=1),
    "create": lambda links: links.create(Link(name="a>b"), upstream="u:1"),
    "inject": lambda links: links.inject("a>b", Toxic(type="noop")),
    "end": lambda links: links.end("a>b", "noop"),
    "heal": lambda links: links.heal("a>b"),
    "read_back": lambda links: links.read_back(),
    "enable": lambda links: links.enable("a>b", enabled=False),
    "status": lambda links: links.status(),
    "connections": lambda links: links.connections(),
    "end_connection": lambda links: links.end_connection(1),
    "events": lambda links: anext(links.events()),
    "wire": lambda links: anext(links.wire()),
    "remove": lambda links: links.remove("a>b"),
}


@pytest.mark.parametrize("connect", [connect_embedded, connect_toxiproxy], ids=["embedded", "toxiproxy"])
@pytest.mark.parametrize("name", CALLS)
async def test_no_call_waits_without_end(
    connect: Callable[..., AbstractAsyncContextManager[LinkControl]], name: str
) -> None:
    """Of a server that accepts and says nothing, every call is given up or refused before it is made."""
    async with answering(None) as url, asyncio.timeout(20), connect(url, call_within_s=0.2) as control:
        with pytest.raises(ProxyError, match=r"no answer within 0\.2 s|is not to be had"):
            await CALLS[name](control)


async def test_a_wire_log_that_breaks_off_is_an_error() -> None:
    """A log cut inside its stream is not taken for one that ended."""
    cut = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n\x00\x00\x00\x02\x91\x90\r\n"
    async with answering(cut) as url, connect_embedded(url) as control:
        wire = control.wire()
        assert await anext(wire) == b"\x91\x90"
        with pytest.raises(ProxyError, match="broke off"):
            await anext(wire)


async def test_a_plain_toxiproxy_is_told_apart() -> None:
    """A server without our extensions is refused with a word on what it is not."""
    reply = b"HTTP/1.1 404 Not Found\r\nContent-Length: 19\r\n\r\n404 page not found\n"
    async with answering(reply) as url, connect_embedded(url) as control:
        with pytest.raises(ProxyError, match="not a chaos-drill proxy"):
            await control.acquire(holder="run-1", ttl_ms=1000, hard_end_ms=1000)


async def pieces_of(data: bytes, cuts: list[int]) -> AsyncIterator[bytes]:
    """The bytes in pieces."""
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    for start, stop in zip(edges, edges[1:], strict=False):  # noqa: RUF007  # sets are sorted, pairs are all that is wanted
        yield data[start:stop]


@given(frames=st.lists(st.binary(max_size=40), max_size=6), cuts=st.lists(st.integers(0, 400), max_size=8))
async def test_frames_come_out_as_they_went_in(frames: list[bytes], cuts: list[int]) -> None:
    """Whatever pieces the stream comes in."""
    data = b"".join(len(frame).to_bytes(4, "big") + frame for frame in frames)
    assert [frame async for frame in split_frames(pieces_of(data, cuts))] == frames


async def test_a_stream_that_ends_inside_a_frame_is_an_error() -> None:
    """A cut frame is lost evidence, said aloud."""
    with pytest.raises(ProxyError, match="inside a frame"):
        assert [frame async for frame in split_frames(pieces_of(b"\x00\x00\x00\x05ab", []))]


async def test_probes_tell_refused_accepted_and_silent_apart() -> None:
    """A closed port refuses, an open one accepts, a full backlog is silent."""
    async with answering(b"") as url:
        address = url.removeprefix("http://")
        assert await probe_connect(address) == "accepted"
    assert await probe_connect(address) == "refused"
    assert await probe_connect(address.replace("127.0.0.1", "localhost")) == "refused"


async def test_a_probe_without_any_way_there_is_an_error() -> None:
    """No such name is neither refused nor silent."""
    with pytest.raises(ProxyError, match="cannot probe"):
        await probe_connect("no.such.host.invalid:1", within_s=10)
