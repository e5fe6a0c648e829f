"""Quiescence: no new starts, and nothing in flight any more. Only then do the stores hold all that the load will leave there."""

from __future__ import annotations

import contextlib

import anyio

from chaos.errors import NotReadyError
from chaos.model.plan import Plan
from chaos.workloads.control import Control

__all__ = ["end_load", "end_load_now"]

_IN_FLIGHT_S = 1.0
_GRACE_S = 2.0  # for the driver to take both commands and say that it did; one that is stopped does not


async def end_load(driver: Control, plan: Plan) -> None:
    """No more starts; operations in flight get their answers or their whole wait. Raises NotReadyError."""
    await driver.stop_load()
    await driver.drain(_longest_wait_s(plan))


async def end_load_now(driver: Control) -> None:
    """The same for a run that is over: nothing stops it, it takes a second or two, and a driver that is gone loads nothing."""
    with anyio.move_on_after(_IN_FLIGHT_S + _GRACE_S, shield=True), contextlib.suppress(NotReadyError):
        await driver.stop_load()
        await driver.drain(_IN_FLIGHT_S)


def _longest_wait_s(plan: Plan) -> float:
    deadlines = [one.deadline_ms for workload in plan.workloads for one in workload.operations]
    return max((ms + max(2000.0, ms)) / 1000 for ms in deadlines) + 1
