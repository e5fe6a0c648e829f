"""Message faults through the public control, as an HTTP client sees them, and what becomes of them when their owner is killed."""

from __future__ import annotations

import asyncio
import json
import sys
import textwrap
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import httpx
import msgspec
import pytest

from chaos.links import LinkControl, Toxic, connect_embedded, embedded_proxy, faulted
from chaos.model.fault import FaultSpec
from chaos.model.link import Link, Protocol
from chaos.model.wire_record import WireRecord
from tests.links.servers import WITHIN_S, in_this_process
from tests.listening import listening

HOUR_MS = 3_600_000


@asynccontextmanager
async def answering() -> AsyncIterator[tuple[str, list[str]]]:
    """An HTTP server that answers with what it was asked, `/stream` as events; its address, and what it was asked."""
    asked: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            target = head.split(b" ")[1].decode()
            asked.append(target)
            body = json.dumps({"target": target}).encode()
            if target == "/stream":
                writer.write(
                    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
                )
                for number in range(5):
                    event = b"data: %d\n\n" % number
                    writer.write(b"%x\r\n%b\r\n" % (len(event), event))
                writer.write(b"0\r\n\r\n")
            else:
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
            await writer.drain()

    async with listening(serve) as server:
        yield server.address, asked


@asynccontextmanager
async def linked() -> AsyncIterator[tuple[LinkControl, httpx.AsyncClient, list[str]]]:
    """A control with the link `a>b`, a client of it with one connection, and what the server was asked."""
    async with in_this_process() as url, answering() as (upstream, asked), connect_embedded(url) as control:
        with anyio.fail_after(WITHIN_S):
            listen = await control.create(Link(name="a>b", protocol=Protocol.HTTP), upstream=upstream)
            limits = httpx.Limits(max_connections=1)
            async with httpx.AsyncClient(
                base_url=f"http://{listen}", limits=limits, timeout=WITHIN_S, trust_env=False
            ) as client:
                yield control, client, asked


async def test_an_error_is_a_response_like_any_other() -> None:
    """Status, Retry-After and a problem; the pool keeps the connection, and the server was not asked."""
    async with linked() as (control, client, asked):
        await control.inject(
            "a>b", Toxic(type="error", answer="429", match="/limited", attributes={"retry_after": 3000})
        )
        reply = await client.post("/limited", content=b"x" * 100_000)
        assert (reply.status_code, reply.headers["retry-after"]) == (429, "3")
        assert reply.json()["title"] == "Too Many Requests"
        assert (await client.get("/free")).json() == {"target": "/free"}
        assert asked == ["/free"]
        assert len(await control.connections("a>b")) == 1


@pytest.mark.parametrize(("phase", "asked_for"), [("before", []), ("after", ["/hit"])])
async def test_a_cut_before_and_after_look_alike_and_are_not(phase: str, asked_for: list[str]) -> None:
    """The caller cannot tell; the callee did nothing, or all of it."""
    async with linked() as (control, client, asked):
        await control.inject("a>b", Toxic(type="cut", phase=phase, match="/hit"))
        with pytest.raises(httpx.ReadError):
            await client.get("/hit")
        assert asked == asked_for


async def test_a_stream_breaks_off_in_the_midst_of_an_event() -> None:
    """What came before it was delivered."""
    async with linked() as (control, client, _):
        got = b""

        async def read() -> None:
            nonlocal got
            async with client.stream("GET", "/stream") as reply:
                async for piece in reply.aiter_raw():
                    got += piece

        async with faulted(control, "a>b", Toxic(type="truncate", phase="during:3", match="/stream")):
            with pytest.raises(httpx.RemoteProtocolError):
                await read()
        half = b"data: 0\n\ndata: 1\n\ndat"
        assert got == half
        await read()
        assert got == half + b"".join(b"data: %d\n\n" % number for number in range(5))


async def test_a_malformed_answer_is_whole_and_unreadable() -> None:
    """No error of HTTP, one of JSON."""
    async with linked() as (control, client, _):
        name = await control.inject("a>b", Toxic(type="malform", phase="after", match="/hit"))
        reply = await client.get("/hit")
        with pytest.raises(ValueError, match="utf-8"):
            reply.json()
        await control.end("a>b", name)
        assert (await client.get("/hit")).json() == {"target": "/hit"}


async def test_a_dropped_answer_is_a_timeout() -> None:
    """And the next connection is served."""
    async with linked() as (control, client, asked):
        await control.inject("a>b", Toxic(type="drop", phase="after", match="/hit", count={"first": 1}))
        with pytest.raises(httpx.ReadTimeout):
            await client.get("/hit", timeout=httpx.Timeout(WITHIN_S, read=0.3))
        assert (await client.get("/hit")).json() == {"target": "/hit"}
        assert asked == ["/hit", "/hit"]


async def test_a_fault_of_a_scenario_is_armed_with_all_it_says() -> None:
    """Phase, operation, count and answer reach the proxy, and the wire log tells the act."""
    async with linked() as (control, client, _):
        await control.acquire(holder="run", ttl_ms=HOUR_MS, hard_end_ms=HOUR_MS)
        fault = FaultSpec(
            name="full", kind="error", links=("a>b",), at_ms=0, for_ms=HOUR_MS, phase="after", operation="GET /hit",
            count={"every": 2}, per="link", answer="503",
        )  # fmt: skip
        await control.arm(fault, "a>b", at_ns=await control.now_ns(), seed=7)
        assert [(await client.get("/hit")).status_code for _ in range(4)] == [200, 503, 200, 503]
        acted: list[WireRecord] = []
        async for batch in control.wire():
            acted += [one for one in msgspec.msgpack.decode(batch, type=list[WireRecord]) if one.kind == "acted"]
            if len(acted) == 2:
                break
        assert [(one.signature, one.status, one.faults) for one in acted] == [
            ("GET /hit", "after error", ("full",))
        ] * 2


OWNER = """
    import anyio, sys
    from chaos.links import Toxic, connect_embedded

    async def main(url):
        async with connect_embedded(url) as control:
            await control.acquire(holder="owner", ttl_ms=2000, hard_end_ms=3_600_000)
            await control.inject("a>b", Toxic(type="hold", match="/held", attributes={"hold": 3_600_000}))
            await control.inject("a>b", Toxic(type="drop", match="/dropped"))
            while True:
                await control.renew()
                print("held", flush=True)
                await anyio.sleep(0.05)

    anyio.run(main, sys.argv[1])
"""


async def test_nothing_outlives_an_owner_that_is_killed() -> None:
    """Its lease runs out: what it held is answered, what it made deaf is reset, later ones are served."""
    async with embedded_proxy() as url, answering() as (upstream, _), connect_embedded(url) as control:
        listen = await control.create(Link(name="a>b", protocol=Protocol.HTTP), upstream=upstream)
        program = textwrap.dedent(OWNER)
        owner = await asyncio.create_subprocess_exec(sys.executable, "-c", program, url, stdout=asyncio.subprocess.PIPE)
        try:
            assert owner.stdout is not None
            with anyio.fail_after(WITHIN_S * 2):
                await owner.stdout.readline()
                async with httpx.AsyncClient(base_url=f"http://{listen}", timeout=WITHIN_S, trust_env=False) as client:
                    held = asyncio.create_task(client.get("/held"))
                    dropped = asyncio.create_task(client.get("/dropped"))
                    while sum(one.hits for link in await control.status() for one in link.toxics) < 2:
                        await asyncio.sleep(0.01)
                    owner.kill()
                    assert (await held).json() == {"target": "/held"}
                    with pytest.raises(httpx.ReadError):
                        await dropped
                    assert (await client.get("/dropped")).json() == {"target": "/dropped"}
                assert await control.read_back() == ()
        finally:
            if owner.returncode is None:
                owner.kill()
            await owner.wait()
