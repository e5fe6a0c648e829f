"""The port to a fault proxy: one suite, run over every adapter."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import anyio
import msgspec
import pytest

from chaos.errors import ProxyError
from chaos.links import ActiveFault, LinkControl, connect_embedded, embedded_proxy, probe_connect
from chaos.model.fault import FaultSpec, Stream
from chaos.model.link import Link, Protocol
from chaos.model.wire_record import WireRecord
from tests.links.servers import echo, in_this_process, round_trip
from tests.listening import listening

Server = Callable[[], AbstractAsyncContextManager[str]]
WITHIN_S = 20.0
HOUR_MS = 3_600_000.0
SECOND_NS = 1_000_000_000


@pytest.fixture(params=[in_this_process, embedded_proxy], ids=["in-process", "program"])
def server(request: pytest.FixtureRequest) -> Server:
    """Each proxy that an adapter may speak to."""
    chosen: Server = request.param
    return chosen


@asynccontextmanager
async def held(server: Server) -> AsyncIterator[tuple[LinkControl, str]]:
    """A control with a lease and the link `a>b` to an echo, and the link's address."""
    async with (
        server() as url,
        echo() as upstream,
        connect_embedded(url) as control,
    ):
        with anyio.fail_after(WITHIN_S):
            await control.acquire(holder="run-1", ttl_ms=HOUR_MS, hard_end_ms=HOUR_MS)
            listen = await control.create(Link(name="a>b"), upstream=upstream)
            yield control, listen


def fault(name: str = "slow", kind: str = "latency", *, for_ms: float = HOUR_MS, **attributes: int) -> FaultSpec:
    """A fault on `a>b`."""
    return FaultSpec(name=name, kind=kind, links=("a>b",), at_ms=0, for_ms=for_ms, attributes=attributes)


async def records_until(control: LinkControl, kind: str) -> list[WireRecord]:
    """The wire log's records up to the first of a kind."""
    seen: list[WireRecord] = []
    wire = control.wire()
    async for batch in wire:
        seen += msgspec.msgpack.decode(batch, type=list[WireRecord])
        if any(record.kind == kind for record in seen):
            break
    await wire.aclose()  # type: ignore[attr-defined]
    return seen


async def test_a_created_link_passes_bytes_and_refuses_once_removed(server: Server) -> None:
    """A link is a listener of its own: it carries bytes until it is removed, twice if need be."""
    async with held(server) as (control, listen):
        assert await round_trip(listen, b"hello") == b"hello"
        assert await probe_connect(listen) == "accepted"
        await control.remove("a>b")
        await control.remove("a>b")
        assert await probe_connect(listen) == "refused"


async def test_a_second_holder_is_told_who_was_first(server: Server) -> None:
    """The lock names its holder and age; given back, it can be had."""
    async with server() as url, connect_embedded(url) as first, connect_embedded(url) as second:
        await first.acquire(holder="run-1", ttl_ms=HOUR_MS, hard_end_ms=HOUR_MS)
        with pytest.raises(ProxyError, match=r"held by 'run-1' for \d+\.\d s"):
            await second.acquire(holder="run-2", ttl_ms=HOUR_MS, hard_end_ms=HOUR_MS)
        await first.release()
        await second.acquire(holder="run-2", ttl_ms=HOUR_MS, hard_end_ms=HOUR_MS)
        await second.renew()
        with pytest.raises(ProxyError, match="no lease is held"):
            await first.renew()


async def test_faults_are_read_back_armed_and_active_and_healed_at_any_time(server: Server) -> None:
    """Armed faults have no onset yet, active ones have one; healing takes both and may be repeated."""
    async with held(server) as (control, _):
        now_ns = await control.now_ns()
        await control.arm(fault("later"), "a>b", at_ns=now_ns + 3600 * SECOND_NS, seed=1)
        await control.arm(fault("now", latency=1), "a>b", at_ns=now_ns, seed=1)
        armed, active = sorted(await control.read_back(), key=lambda one: one.fault)
        assert armed == ActiveFault(fault="later", link="a>b", since_ns=None)
        assert active.fault == "now"
        assert active.since_ns is not None
        assert active.since_ns >= now_ns
        await control.heal("a>b")
        assert await control.read_back() == ()
        await control.heal("a>b")
        await control.heal("no>such")


async def test_a_fault_begins_and_ends_by_itself_and_never_early(server: Server) -> None:
    """Onset and end come from the proxy's clock, stand in the wire log, and leave nothing to heal."""
    async with held(server) as (control, listen):
        at_ns = await control.now_ns() + SECOND_NS // 5
        await control.arm(fault("gone", "refuse", for_ms=200), "a>b", at_ns=at_ns, seed=1)
        records = await records_until(control, "off")
        (began,) = (record for record in records if record.kind == "on")
        (ended,) = (record for record in records if record.kind == "off")
        assert (began.link, began.faults) == (ended.link, ended.faults) == ("a>b", ("gone",))
        assert at_ns <= began.t_ns <= ended.t_ns - 200_000_000 + (began.t_ns - at_ns)
        assert ended.status == "ended"
        assert await control.read_back() == ()
        assert await round_trip(listen, b"again") == b"again"


async def test_a_refusing_link_refuses_and_keeps_its_port(server: Server) -> None:
    """While it lasts connects are refused; healed, the same address serves again."""
    async with held(server) as (control, listen):
        await control.arm(fault("gone", "refuse"), "a>b", at_ns=await control.now_ns(), seed=1)
        assert await probe_connect(listen) == "refused"
        await control.heal("a>b")
        assert await round_trip(listen, b"back") == b"back"


async def test_giving_the_lease_back_ends_its_faults(server: Server) -> None:
    """No fault outlives its lease."""
    async with held(server) as (control, _):
        await control.arm(fault(latency=5), "a>b", at_ns=await control.now_ns(), seed=1)
        await control.release()
        await control.release()
        assert await control.read_back() == ()


async def test_a_lease_that_is_not_renewed_heals_by_itself(server: Server) -> None:
    """A holder that falls silent loses its lease, its faults end, and renewing is refused."""
    async with held(server) as (control, _):
        await control.release()
        await control.acquire(holder="run-2", ttl_ms=1500, hard_end_ms=HOUR_MS)
        await control.arm(fault(latency=5), "a>b", at_ns=await control.now_ns(), seed=1)
        records = await records_until(control, "off")
        assert records[-1].status == "lease"
        assert await control.read_back() == ()
        with pytest.raises(ProxyError, match="not found"):
            await control.renew()


async def test_the_hard_end_is_not_moved_by_renewals(server: Server) -> None:
    """However often it is renewed, a lease meets its hard end."""
    async with held(server) as (control, _):
        await control.release()
        await control.acquire(holder="run-2", ttl_ms=HOUR_MS, hard_end_ms=1500)
        await control.arm(fault(latency=5), "a>b", at_ns=await control.now_ns(), seed=1)
        await control.renew()
        records = await records_until(control, "off")
        assert records[-1].status == "hard-end"


async def test_a_renewal_brings_the_hard_end_forward_and_never_back(server: Server) -> None:
    """Once the end of the faults is known the lease can be cut down to it; asking for more changes nothing."""
    async with held(server) as (control, _):
        await control.arm(fault(latency=5), "a>b", at_ns=await control.now_ns(), seed=1)
        await control.renew(hard_end_ms=1500)
        await control.renew(hard_end_ms=HOUR_MS)
        records = await records_until(control, "off")
        assert records[-1].status == "hard-end"
        assert await control.read_back() == ()


async def test_an_http_link_tells_requests_and_what_acted_on_them(server: Server) -> None:
    """On a link that names its protocol the wire log holds signatures, and the fault that delayed an exchange."""
    async with held(server) as (control, _), http_server() as upstream:
        listen = await control.create(Link(name="c>d", protocol=Protocol.HTTP), upstream=upstream)
        await control.arm(
            FaultSpec(name="slow", kind="latency", links=("c>d",), at_ms=0, for_ms=HOUR_MS, attributes={"latency": 20}),
            "c>d",
            at_ns=await control.now_ns(),
            seed=1,
        )
        request = b"GET /v1/documents/17 HTTP/1.1\r\nHost: d\r\n\r\n"
        assert await round_trip(listen, request) != b""
        records = await records_until(control, "reply")
        (asked,) = (record for record in records if record.kind == "request")
        (answered,) = (record for record in records if record.kind == "reply")
        assert asked.signature == answered.signature == "GET /v1/documents/{id}"
        assert (answered.status, answered.faults) == ("200", ("slow",))


@asynccontextmanager
async def http_server() -> AsyncIterator[str]:
    """An upstream that answers 200 to every request and closes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 30\r\nConnection: close\r\n\r\n" + b"x" * 30)
        await writer.drain()

    async with listening(serve) as server:
        yield server.address


async def test_what_cannot_be_done_is_refused_by_name(server: Server) -> None:
    """Refusals say what was asked, where, and why."""
    async with held(server) as (control, _):
        with pytest.raises(ProxyError, match="proxy already exists"):
            await control.create(Link(name="a>b"), upstream="127.0.0.1:1")
        with pytest.raises(ProxyError, match="proxy not found"):
            await control.arm(fault(), "no>such", at_ns=await control.now_ns(), seed=1)
        await control.arm(fault(), "a>b", at_ns=await control.now_ns(), seed=1)
        with pytest.raises(ProxyError, match="toxic already exists"):
            await control.arm(fault(), "a>b", at_ns=await control.now_ns(), seed=1)


async def test_both_streams_are_armed_as_asked(server: Server) -> None:
    """A fault on the upstream stream delays requests and nothing is lost."""
    async with held(server) as (control, listen):
        up = FaultSpec(
            name="up", kind="slicer", links=("a>b",), at_ms=0, for_ms=HOUR_MS, stream=Stream.UPSTREAM,
            attributes={"average_size": 2},
        )  # fmt: skip
        await control.arm(up, "a>b", at_ns=await control.now_ns(), seed=1)
        assert await round_trip(listen, b"0123456789" * 10) == b"0123456789" * 10


async def test_a_proxy_that_is_gone_is_an_error_that_says_so() -> None:
    """No call hangs or ends in a traceback of the HTTP client when there is nobody."""
    async with in_this_process() as url:
        gone = url
    async with connect_embedded(gone) as control:
        with pytest.raises(ProxyError, match="is the proxy still running"):
            await control.now_ns()
    with pytest.raises(ProxyError, match="write http://host:port"):
        async with connect_embedded("127.0.0.1:8474"):
            raise AssertionError("not reached")


async def test_the_wire_log_ends_with_the_proxy() -> None:
    """A subscriber is not left waiting when the proxy goes."""
    reading, ended = anyio.Event(), anyio.Event()

    async def follow(url: str) -> None:
        async with connect_embedded(url) as control:
            await control.create(Link(name="a>b", protocol=Protocol.HTTP), upstream="127.0.0.1:1")
            await control.acquire(holder="run-1", ttl_ms=HOUR_MS, hard_end_ms=HOUR_MS)
            await control.arm(fault(latency=5), "a>b", at_ns=await control.now_ns(), seed=1)
            with contextlib.suppress(ProxyError):
                async for _ in control.wire():
                    reading.set()
        ended.set()

    with anyio.fail_after(WITHIN_S):
        async with anyio.create_task_group() as group:
            async with embedded_proxy() as url:
                group.start_soon(follow, url)
                await reading.wait()
            await ended.wait()
