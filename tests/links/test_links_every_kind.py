"""What every kind of proxy does alike, and what a real Toxiproxy refuses: one suite over ours and a real server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from chaos.errors import ProxyError
from chaos.links import LinkControl, Toxic, UnsupportedError, connect_links, connect_toxiproxy, faulted, probe_connect
from chaos.links.toxiproxy_limits import STANDARD_TOXICS, why_not
from chaos.model.fault import FAULT_KINDS, FaultSpec
from chaos.model.link import Link, Protocol
from tests.links.servers import KINDS, WITHIN_S, Kind, echo, real_toxiproxy, round_trip

SLOW = Toxic(type="latency", name="slow", attributes={"latency": 1})
ENDLESS = Toxic(type="bandwidth", name="stall", attributes={"rate": 0})


@pytest.fixture(params=KINDS, ids=lambda kind: kind.name)
def kind(request: pytest.FixtureRequest) -> Kind:
    """Each kind of proxy."""
    chosen: Kind = request.param
    return chosen


@asynccontextmanager
async def linked(kind: Kind) -> AsyncIterator[tuple[LinkControl, str]]:
    """A control with the link `a>b` to an echo, and the link's address."""
    async with kind.serve() as url, echo() as upstream, kind.connect(url) as control:
        with anyio.fail_after(WITHIN_S * 2):
            yield control, await control.create(Link(name="a>b"), upstream=upstream)


async def test_a_link_passes_bytes_and_refuses_once_removed(kind: Kind) -> None:
    """Removed twice if need be."""
    async with linked(kind) as (control, listen):
        assert await round_trip(listen, b"hello" * 1000) == b"hello" * 1000
        await control.remove("a>b")
        await control.remove("a>b")
        assert await probe_connect(listen) == "refused"


async def test_an_injected_toxic_is_read_back_and_ended(kind: Kind) -> None:
    """It stands among the active faults from a moment that has been, until it is ended, once or twice."""
    async with linked(kind) as (control, listen):
        assert await control.inject("a>b", SLOW) == "slow"
        (active,) = await control.read_back()
        assert (active.fault, active.link) == ("slow", "a>b")
        assert active.since_ns is not None
        assert await round_trip(listen, b"late") == b"late"
        await control.end("a>b", "slow")
        await control.end("a>b", "slow")
        assert await control.read_back() == ()


async def test_a_name_comes_from_type_and_stream(kind: Kind) -> None:
    """As with every client of Toxiproxy."""
    async with linked(kind) as (control, _):
        assert await control.inject("a>b", Toxic(type="noop", stream="upstream")) == "noop_upstream"
        assert await control.inject("a>b", Toxic(type="noop")) == "noop_downstream"
        assert {one.fault for one in await control.read_back()} == {"noop_upstream", "noop_downstream"}


async def test_healing_a_link_ends_all_its_faults(kind: Kind) -> None:
    """A stall is healed with nothing lost; a link without faults, or that is none, is healed."""
    async with linked(kind) as (control, listen):
        await control.inject("a>b", ENDLESS)
        await control.inject("a>b", SLOW)
        received: list[bytes] = []
        async with anyio.create_task_group() as group:

            async def talk() -> None:
                received.append(await round_trip(listen, b"held back"))

            group.start_soon(talk)
            await control.heal("a>b")
        assert received == [b"held back"]
        assert await control.read_back() == ()
        await control.heal("a>b")
        await control.heal("no>such")


async def test_a_fault_lasts_as_long_as_its_block(kind: Kind) -> None:
    """Also when the block ends in an error."""
    async with linked(kind) as (control, _):
        async with faulted(control, "a>b", "slicer", stream="upstream", average_size=2) as name:
            assert [one.fault for one in await control.read_back()] == [name] == ["slicer_upstream"]
        with pytest.raises(ZeroDivisionError):
            async with faulted(control, "a>b", "latency", latency=5):
                raise ZeroDivisionError
        assert await control.read_back() == ()


async def test_a_cancelled_block_ends_its_fault(kind: Kind) -> None:
    """The repair is shielded from the cancellation that ends the block."""
    async with linked(kind) as (control, _):
        with anyio.CancelScope() as scope:
            async with faulted(control, "a>b", "latency", latency=5):
                scope.cancel()
                await anyio.sleep_forever()
        assert await control.read_back() == ()


async def test_what_a_control_injected_ends_with_it(kind: Kind) -> None:
    """Nothing is left on the links of others, and what others put there stays."""
    async with kind.serve() as url, echo() as upstream, kind.connect(url) as owner:
        await owner.create(Link(name="a>b"), upstream=upstream)
        await owner.inject("a>b", SLOW)
        async with kind.connect(url) as guest:
            await guest.inject("a>b", Toxic(type="noop", name="mine"))
            with pytest.raises(ProxyError, match="toxic already exists"):
                await guest.inject("a>b", SLOW)
        assert [one.fault for one in await owner.read_back()] == ["slow"]


async def test_a_link_can_be_shut_and_opened(kind: Kind) -> None:
    """Its address and toxics stay."""
    async with linked(kind) as (control, listen):
        await control.inject("a>b", SLOW)
        await control.enable("a>b", enabled=False)
        assert await probe_connect(listen) == "refused"
        await control.enable("a>b", enabled=True)
        assert await round_trip(listen, b"back") == b"back"
        assert len(await control.read_back()) == 1


async def test_refusals_name_what_was_asked(kind: Kind) -> None:
    """A name in use, a link that is none, a toxic that is none, an address in use."""
    async with linked(kind) as (control, listen):
        with pytest.raises(ProxyError, match="proxy already exists"):
            await control.create(Link(name="a>b"), upstream="127.0.0.1:1")
        with pytest.raises(ProxyError, match="address already in use"):
            await control.create(Link(name="c>d"), upstream="127.0.0.1:1", listen=listen)
        with pytest.raises(ProxyError, match="proxy not found"):
            await control.inject("no>such", SLOW)
        with pytest.raises(ProxyError, match="proxy not found"):
            await control.enable("no>such", enabled=False)
        with pytest.raises(ProxyError, match="gopher"):
            await control.inject("a>b", Toxic(type="gopher"))


@pytest.mark.parametrize("type_", STANDARD_TOXICS)
async def test_every_standard_toxic_is_had_from_every_kind(kind: Kind, type_: str) -> None:
    """With its attributes, on either stream."""
    attributes = dict.fromkeys(STANDARD_TOXICS[type_], 1)
    async with linked(kind) as (control, _):
        for stream in ("upstream", "downstream"):
            await control.inject("a>b", Toxic(type=type_, stream=stream, attributes=attributes, toxicity=0.5))
        assert len(await control.read_back()) == 2
        await control.heal("a>b")
        assert await control.read_back() == ()


async def test_the_kind_of_a_proxy_is_found_out(kind: Kind) -> None:
    """One call connects to either; what answers nothing at all is an error."""
    async with kind.serve() as url, connect_links(url) as control:
        if kind.name == "toxiproxy":
            with pytest.raises(UnsupportedError):
                await control.now_ns()
        else:
            assert await control.now_ns() > 0
    with pytest.raises(ProxyError, match="is the proxy still running"):
        async with connect_links(url):
            raise AssertionError("not reached")


ARMED = FaultSpec(name="later", kind="latency", links=("a>b",), at_ms=0, for_ms=1000, attributes={"latency": 5})


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda links: links.now_ns(), "telling its clock"),
        (lambda links: links.acquire(holder="run-1", ttl_ms=1, hard_end_ms=1), "a lease for 'run-1'"),
        (lambda links: links.renew(), "renewing a lease"),
        (lambda links: links.arm(ARMED, "a>b", at_ns=0, seed=1), r"later on a>b: .*\(at, for\)"),
        (lambda links: links.status(), "live counters"),
        (lambda links: links.connections(), "a list of connections"),
        (lambda links: links.end_connection(1), "ending connection 1"),
        (lambda links: links.events(), "a stream of events"),
        (lambda links: links.wire(), "a wire log"),
        (lambda links: links.create(Link(name="a>b"), upstream="unix:/x"), "the unix socket 'unix:/x'"),
        (lambda links: links.create(Link(name="a>b"), upstream="u:1", listen="unix:/x"), "the unix socket 'unix:/x'"),
        (lambda links: links.inject("a>b", Toxic(type="refuse")), "refuse_downstream on a>b: the toxic 'refuse'"),
        (lambda links: links.inject("a>b", Toxic(type="noop", name="n", for_ms=5)), "n on a>b: for_ms"),
    ],
)  # fmt: skip
async def test_what_a_real_toxiproxy_cannot_do_is_refused_by_name(call: Any, words: str) -> None:
    """Before anything is sent: no server is needed to be told so."""
    async with connect_toxiproxy("http://127.0.0.1:1") as control:
        with pytest.raises(UnsupportedError, match=words) as refused:
            await call(control)
        assert "the Toxiproxy server at 127.0.0.1:1; use `chaos-drill proxy`" in str(refused.value)
        await control.release()


@pytest.mark.parametrize(
    ("toxic", "reason"),
    [
        (Toxic(type="latency", attributes={"latency": 5, "jitter": 1}), None),
        (Toxic(type="latency", attributes={"latency_us": 5}), "latency with latency_us"),
        (Toxic(type="latency", attributes={"jitter": 1 << 62}), "such a jitter (its process would end)"),
        (Toxic(type="noop", stream="both"), "the stream 'both'"),
        (Toxic(type="noop", seed=1, count={"first": 2}, per="link", match="GET *"), "seed, count, per, match"),
        (Toxic(type="noop", at_ns=1, ramp_ms=1), "at_ns, ramp_ms"),
        (Toxic(type="slicer"), "a slicer without an average size, or with a variation beyond it (its process would end)"),
        (Toxic(type="slicer", attributes={"average_size": 5, "size_variation": 5}), None),
        (Toxic(type="bandwidth", attributes={"rate": -1}), "such a rate (its process would end)"),
        (Toxic(type="bandwidth"), None),
    ],
)  # fmt: skip
def test_limits_of_a_real_toxiproxy(toxic: Toxic, reason: str | None) -> None:
    """What it would ignore, and what would end its process, is told before it is asked."""
    assert why_not(toxic) == reason


def test_only_kinds_that_are_ours_alone_are_refused() -> None:
    """The table agrees with the model's on what Toxiproxy knows."""
    assert {name for name, one in FAULT_KINDS.items() if one.standard} == set(STANDARD_TOXICS) - {"noop"}


async def test_a_protocol_does_not_matter_to_a_real_toxiproxy() -> None:
    """A link may say what it carries; what rests on it, the wire log, is refused when it is asked for."""
    async with real_toxiproxy() as url, echo() as upstream, connect_toxiproxy(url) as control:
        listen = await control.create(Link(name="a>b", protocol=Protocol.HTTP), upstream=upstream)
        assert await round_trip(listen, b"x") == b"x"
