"""A real Toxiproxy behind a recorder of ours: faults begin and end on it, what passed is marked, and nothing of ours stays."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import anyio
import msgspec
import pytest

from chaos.errors import ProxyError
from chaos.links import (
    LinkControl,
    Toxic,
    UnsupportedError,
    connect_chained,
    connect_toxiproxy,
    embedded_proxy,
    is_ours,
    probe_connect,
)  # fmt: skip
from chaos.links.guard import TTL_S, remaining_proxies
from chaos.links.toxiproxy_limits import why_not_fault
from chaos.model.fault import FAULT_KINDS, FaultSpec
from chaos.model.link import Link
from chaos.model.wire_record import WireRecord
from tests.links.servers import WITHIN_S, echo, real_toxiproxy, round_trip

OTHERS = Link(name="somebody>else")
THEIRS = Toxic(type="latency", name="theirs", attributes={"latency": 5})


def fault(kind: str, *, for_ms: float = 60_000, **more: object) -> FaultSpec:
    """A fault on the link a>b."""
    return FaultSpec(name="f", kind=kind, links=("a>b",), at_ms=0, for_ms=for_ms, **more)  # type: ignore[arg-type]


@asynccontextmanager
async def chain() -> AsyncIterator[tuple[LinkControl, str, str]]:
    """Control of both, the link's address, and the real server's URL, on which somebody else has a proxy with a toxic."""
    async with real_toxiproxy() as server, embedded_proxy() as recorder, echo() as upstream:
        async with connect_toxiproxy(server) as others:
            await others.create(OTHERS, upstream=upstream)
            await others.inject(OTHERS.name, THEIRS)
            with anyio.fail_after(WITHIN_S * 3):
                async with connect_chained(recorder, server, holder="run-1") as control:
                    await control.acquire(holder="run-1", ttl_ms=5000, hard_end_ms=60_000)
                    yield control, await control.create(Link(name="a>b"), upstream=upstream), server
            assert [one.fault for one in await others.read_back() if one.link == OTHERS.name] == ["theirs"]
        assert remaining_proxies(server, ["run-1.a>b"]) == ()


async def until_on(control: LinkControl) -> None:
    """Wait until the fault is read back; another process' clock can only be polled."""
    while not await control.read_back():
        await anyio.sleep(0.01)


async def test_a_toxic_acts_and_is_healed() -> None:
    """Read back while it is on; healed it is gone, and the link goes on."""
    async with chain() as (control, listen, _):
        await control.arm(fault("timeout", attributes={"timeout": 0}), "a>b", at_ns=time.monotonic_ns(), seed=1)
        await until_on(control)
        [active] = await control.read_back()
        assert (active.fault, active.link) == ("f", "a>b")
        await control.heal("a>b")
        assert await control.read_back() == ()
        assert await round_trip(listen, b"again") == b"again"


async def test_a_refuse_closes_the_recorder_too() -> None:
    """Callers see a refused connect, not an accept and a close; healed both listen again."""
    async with chain() as (control, listen, _):
        await control.arm(fault("refuse"), "a>b", at_ns=time.monotonic_ns(), seed=1)
        while await probe_connect(listen) != "refused":
            await anyio.sleep(0.01)
        await until_on(control)
        await control.heal("a>b")
        assert await round_trip(listen, b"again") == b"again"


@asynccontextmanager
async def followed(control: LinkControl) -> AsyncIterator[list[WireRecord]]:
    """The wire log as it grows."""
    records: list[WireRecord] = []

    async def follow() -> None:
        async for frame in control.wire():
            records.extend(msgspec.msgpack.decode(frame, type=list[WireRecord]))

    async with anyio.create_task_group() as group:
        group.start_soon(follow)
        yield records
        group.cancel_scope.cancel()


async def test_what_passes_meanwhile_is_marked() -> None:
    """Onset, end and what passed in between stand in the log of the recorder."""
    async with chain() as (control, listen, _), followed(control) as records:
        await round_trip(listen, b"before")
        await control.arm(fault("latency", attributes={"latency": 1}), "a>b", at_ns=time.monotonic_ns(), seed=1)
        while not any(one.kind == "close" and one.faults == ("f",) for one in records):
            await round_trip(listen, b"x")
        await control.heal("a>b")
        while not any(one.kind == "off" for one in records):
            await round_trip(listen, b"after")
        on, off = (next(one for one in records if one.kind == kind) for kind in ("on", "off"))
        assert on.t_ns < off.t_ns
        assert next(one for one in records if one.kind == "close").faults == ()
        assert all(on.t_ns < one.t_ns < off.t_ns for one in records if one.kind == "close" and one.faults)
        assert await control.read_back() == ()


async def test_a_fault_ends_by_itself_and_is_told_though_nothing_passes() -> None:
    """The recorder has nothing to say of an idle link; what it hears later comes later."""
    async with chain() as (control, _, _), followed(control) as records:
        slow = fault("latency", for_ms=100, attributes={"latency": 1})
        await control.arm(slow, "a>b", at_ns=time.monotonic_ns(), seed=1)
        while [(one.kind, one.status) for one in records] != [("on", ""), ("off", "ended")]:
            await anyio.sleep(0.01)
        assert await control.read_back() == ()


async def test_a_refuse_ends_for_callers_when_both_listen_again() -> None:
    """Once refused they are refused or served, never accepted and closed; the end told is the last of both."""
    async with chain() as (control, listen, _), followed(control) as records:
        await control.arm(fault("refuse", for_ms=500), "a>b", at_ns=time.monotonic_ns(), seed=1)
        while await probe_connect(listen) != "refused":
            await anyio.sleep(0.01)
        while True:
            with suppress(ConnectionRefusedError):
                assert await round_trip(listen, b"again") == b"again"
                break
        while not (ends := [one.status for one in records if one.kind == "off"]):
            await anyio.sleep(0.01)
        assert ends == ["ended"]
        assert await control.read_back() == ()


async def test_a_link_that_is_not_there_is_healed_and_has_no_faults() -> None:
    """Before it is made and after it is removed, with what was armed on it."""
    async with chain() as (control, _, _):
        await control.heal("c>d")
        await control.end("c>d", "f")
        with pytest.raises(ProxyError, match="there is no link 'c>d' of ours"):
            await control.inject("c>d", THEIRS)
        await control.arm(fault("latency"), "a>b", at_ns=time.monotonic_ns() + 10**11, seed=1)
        await control.remove("a>b")
        await control.heal("a>b")
        with pytest.raises(ProxyError, match="there is no link 'a>b' of ours"):
            await control.arm(fault("latency"), "a>b", at_ns=time.monotonic_ns(), seed=1)


async def test_what_a_real_server_cannot_do_is_refused_before_anything_happens() -> None:
    """Named with the fault and the link."""
    async with chain() as (control, _, _):
        with pytest.raises(UnsupportedError, match="f on a>b: a Toxiproxy server cannot do cut on single messages"):
            await control.arm(fault("cut"), "a>b", at_ns=time.monotonic_ns(), seed=1)
        assert await control.read_back() == ()


@pytest.mark.parametrize("kind", sorted(FAULT_KINDS))
def test_every_kind_is_either_done_or_refused_by_name(kind: str) -> None:
    """The eight toxics and refuse; everything else has a reason."""
    sizes = {"average_size": 10} if kind == "slicer" else {}
    reason = why_not_fault(fault(kind, attributes=sizes, answer="503" if kind == "error" else ""))
    done = FAULT_KINDS[kind].standard or kind == "refuse"
    assert (reason is None) is done
    assert reason is None or kind in reason


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"count": {"first": 1}}, "latency with count"),
        ({"operation": "COMMIT", "per": "link", "count": {"nth": 1}}, "latency with operation, count, per"),
    ],
)
def test_picking_messages_is_refused(more: dict[str, object], reason: str) -> None:
    """A real server counts nothing."""
    assert why_not_fault(fault("latency", attributes={"latency": 1}, **more)) == reason


async def test_the_guard_is_told_that_all_is_well_when_no_lease_is_renewed_any_more() -> None:
    """After healing the lease runs out, and the run goes on: its links stay for longer than the guard waits for a beat."""
    async with chain() as (control, listen, server):
        until = time.monotonic() + 1.4 * TTL_S
        while time.monotonic() < until:
            assert remaining_proxies(server, ["run-1.a>b"]) == ("run-1.a>b",)
            await anyio.sleep(0.1)
        await control.heal("a>b")
        assert await round_trip(listen, b"still there") == b"still there"


async def test_the_kinds_are_told_apart() -> None:
    """A real server knows nothing of ours."""
    async with real_toxiproxy() as server, embedded_proxy() as own:
        assert not await is_ours(server)
        assert await is_ours(own)
