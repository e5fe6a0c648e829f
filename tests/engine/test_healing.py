"""Healing on a real proxy: everything of ours goes, proven by reading back; what cannot be proven is said."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest

from chaos.engine.healing import heal
from chaos.engine.lease_keeper import keep_renewing
from chaos.links import LinkControl, connect_embedded, embedded_proxy
from chaos.model.event import AnyEvent, EvidenceLost, HealChecked, Note
from chaos.model.fault import FaultSpec
from chaos.model.link import Link

HOUR_MS = 3_600_000.0
WITHIN_MS = 10_000.0
HANG_S = 60.0


@asynccontextmanager
async def faulted(*links: str) -> AsyncIterator[tuple[LinkControl, list[AnyEvent]]]:
    """A proxy program with a lease of ours and a fault on each link, and a list for events."""
    async with embedded_proxy() as url, connect_embedded(url) as control:
        await control.acquire(holder="run-1", ttl_ms=HOUR_MS, hard_end_ms=HOUR_MS)
        for link in links:
            await control.create(Link(name=link), upstream="127.0.0.1:9")
            fault = FaultSpec(
                name="slow", kind="latency", links=(link,), at_ms=0, for_ms=HOUR_MS, attributes={"latency": 100}
            )
            await control.arm(fault, link, at_ns=await control.now_ns(), seed=1)
        yield control, []


async def test_every_link_is_healed_and_read_back() -> None:
    """Faults that run and faults that are armed are gone afterwards, and the read-back says so."""
    with anyio.fail_after(HANG_S):
        async with faulted("a>b", "c>d") as (control, events):
            assert len(await control.read_back()) == 2
            checked = await heal(control, ("a>b", "c>d"), deadline_ms=WITHIN_MS, emit=events.append)
            assert (checked.remaining, checked.error) == ((), None)
            assert await control.read_back() == ()
    assert events == [checked]


async def test_a_link_that_was_forgotten_is_found_by_the_read_back() -> None:
    """What remains is decided by looking, not by what was meant to be healed."""
    with anyio.fail_after(HANG_S):
        async with faulted("a>b", "c>d") as (control, events):
            checked = await heal(control, ("a>b",), deadline_ms=WITHIN_MS, emit=events.append)
    assert checked.remaining == ("slow on c>d",)


async def test_an_interrupt_does_not_stop_it() -> None:
    """Cancelled before it began, it heals all the same."""
    with anyio.fail_after(HANG_S):
        async with faulted("a>b") as (control, events):
            with anyio.CancelScope() as scope:
                scope.cancel()
                await heal(control, ("a>b",), deadline_ms=WITHIN_MS, emit=events.append)
            assert await control.read_back() == ()
    assert isinstance(events[-1], HealChecked)


async def test_a_proxy_that_is_gone_cannot_be_read_back() -> None:
    """It says so and does not claim success; each link it could not heal is a note."""
    events: list[AnyEvent] = []
    with anyio.fail_after(HANG_S):
        async with connect_embedded("http://127.0.0.1:9") as control:
            checked = await heal(control, ("a>b",), deadline_ms=WITHIN_MS, emit=events.append)
    assert checked.remaining == ()
    assert "could not be read back" in (checked.error or "")
    assert [type(one) for one in events] == [Note, HealChecked]


async def test_a_lost_lease_ends_the_run() -> None:
    """Its faults are gone before their time: that is recorded, and the run given up."""
    events: list[AnyEvent] = []
    reasons: list[str] = []
    with anyio.fail_after(HANG_S):
        async with faulted("a>b") as (control, _):
            await control.release()
            await keep_renewing(control, 1000, anyio.Event(), events.append, reasons.append)
    assert isinstance(events[0], EvidenceLost)
    assert events[0].what.startswith("the proxy's lease")
    assert len(reasons) == 1


@pytest.mark.parametrize("healed_before", [True, False])
async def test_after_the_verified_heal_nothing_is_renewed(healed_before: bool) -> None:
    """The keeper ends by itself once healing is proven, and a lease that ran out afterwards is no loss."""
    events: list[AnyEvent] = []
    healed = anyio.Event()
    with anyio.fail_after(HANG_S):
        async with faulted("a>b") as (control, _), anyio.create_task_group() as group:
            if healed_before:
                healed.set()
            group.start_soon(keep_renewing, control, 1000, healed, events.append, lambda _why: None)
            await anyio.wait_all_tasks_blocked()
            healed.set()
    assert events == []
