"""The timeline: arm every fault in the proxy, which starts and ends them by itself, and watch the links that refuse."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from zlib import crc32

import anyio

from chaos.engine.clock import now_ns, sleep_until
from chaos.links import LinkControl, probe_connect
from chaos.model.event import AnyEvent, FaultArmed, RefusalProbed
from chaos.model.fault import FaultSpec
from chaos.model.plan import Plan

__all__ = ["LEAD_NS", "arm_all", "watch_refusals"]

LEAD_NS = 500_000_000  # from arming to the timeline's start: every request to the proxy is answered by then
_PROBE_EVERY_NS = 500_000_000
_PROBE_AFTER_NS = 50_000_000


async def arm_all(control: LinkControl, plan: Plan, start_ns: int, emit: Callable[[AnyEvent], None]) -> None:
    """Hand every fault to the proxy, with absolute times. Raises ProxyError if one is refused."""
    for fault in plan.faults:
        for link in fault.links:
            at_ns = start_ns + int(fault.at_ms * 1e6)
            # Recorded before it is asked for, so that no fault can exist that the journal does not name.
            emit(
                FaultArmed(
                    t_ns=now_ns(), fault=fault.name, link=link, start_ns=at_ns, end_ns=at_ns + int(fault.for_ms * 1e6)
                )
            )
            await control.arm(fault, link, at_ns=at_ns, seed=_seed(plan.scenario.seed, fault.name, link))


async def watch_refusals(
    plan: Plan, listeners: Mapping[str, str], start_ns: int, emit: Callable[[AnyEvent], None]
) -> None:
    """Probe every refusing link while it should refuse: the kernel answers there, the proxy sees nothing."""
    async with anyio.create_task_group() as group:
        for fault in plan.faults:
            if fault.kind == "refuse":
                for link in fault.links:
                    group.start_soon(_watch_one, fault, link, listeners[link], start_ns, emit)


async def _watch_one(fault: FaultSpec, link: str, listen: str, start_ns: int, emit: Callable[[AnyEvent], None]) -> None:
    first_ns = start_ns + int(fault.at_ms * 1e6) + _PROBE_AFTER_NS
    end_ns = start_ns + int(fault.end_ms * 1e6) - _PROBE_AFTER_NS
    for at_ns in range(first_ns, end_ns, _PROBE_EVERY_NS):
        await sleep_until(at_ns)
        t_ns = now_ns()
        emit(RefusalProbed(t_ns=t_ns, fault=fault.name, link=link, result=await probe_connect(listen)))


def _seed(seed: int, fault: str, link: str) -> int:
    """A seed of its own for every fault on every link, the same in every run of the scenario."""
    return crc32(f"{seed}/{fault}/{link}".encode())
