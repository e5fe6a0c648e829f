"""The timeline on a real proxy: every fault is recorded before it is asked for, begins by itself, and refusals are seen."""

from __future__ import annotations

import anyio
import msgspec
import pytest

from chaos.engine.clock import now_ns
from chaos.engine.timeline import arm_all, watch_refusals
from chaos.errors import ProxyError
from chaos.links import connect_embedded, embedded_proxy
from chaos.model.event import AnyEvent, FaultArmed, RefusalProbed
from chaos.model.link import Link
from tests.oracles.build import fault, plan

HOUR_MS = 3_600_000.0
HANG_S = 60.0


async def test_a_refusal_is_armed_begins_and_is_probed() -> None:
    """While the fault lasts our own connects are refused, which is what proves it; the record names it before the proxy hears of it."""
    short = msgspec.structs.replace(fault("refuse"), for_ms=1200.0)
    what, events = plan(short), list[AnyEvent]()
    with anyio.fail_after(HANG_S):
        async with embedded_proxy() as url, connect_embedded(url) as control:
            await control.acquire(holder="run-1", ttl_ms=HOUR_MS, hard_end_ms=HOUR_MS)
            listen = await control.create(Link(name="gateway>provider"), upstream="127.0.0.1:9")
            start_ns = now_ns() + 300_000_000
            await arm_all(control, what, start_ns, events.append)
            await watch_refusals(what, {"gateway>provider": listen}, start_ns, events.append)
    armed = events[0]
    assert isinstance(armed, FaultArmed)
    assert (armed.start_ns, armed.end_ns - armed.start_ns) == (start_ns, 1_200_000_000)
    probes = [one for one in events if isinstance(one, RefusalProbed)]
    assert len(probes) == len(events) - 1 > 0
    assert {one.result for one in probes} == {"refused"}
    assert all(one.t_ns >= start_ns for one in probes)


async def test_what_the_proxy_refuses_is_recorded_all_the_same() -> None:
    """A fault on a link that is not there: an error, and no fault can exist that the record does not name."""
    events: list[AnyEvent] = []
    with anyio.fail_after(HANG_S):
        async with embedded_proxy() as url, connect_embedded(url) as control:
            await control.acquire(holder="run-1", ttl_ms=HOUR_MS, hard_end_ms=HOUR_MS)
            with pytest.raises(ProxyError):
                await arm_all(control, plan(fault("refuse")), now_ns(), events.append)
    assert [type(one) for one in events] == [FaultArmed]
