"""The conductor's clock: CLOCK_MONOTONIC in nanoseconds, shared by every process of a run on this host."""

from __future__ import annotations

import time
from collections.abc import Callable

import anyio

from chaos.model.event import AnyEvent, ClockSample

__all__ = ["now_ns", "sample_clocks", "sleep_until"]

_SAMPLE_EVERY_S = 1.0


def now_ns() -> int:
    """Nanoseconds of CLOCK_MONOTONIC."""
    return time.monotonic_ns()


async def sleep_until(t_ns: int) -> None:
    """Wait until that moment of the monotonic clock; never early."""
    while (left := t_ns - now_ns()) > 0:  # noqa: ASYNC110 - a timer may fire early by its resolution
        await anyio.sleep(left / 1e9)


def _sample() -> ClockSample:
    """Both clocks read together: of five tries the one with the smallest gap around the wall reading."""
    tries = []
    for _ in range(5):
        before, wall, after = time.monotonic_ns(), time.time_ns(), time.monotonic_ns()
        tries.append((after - before, (before + after) // 2, wall))
    _, mono, wall = min(tries)
    return ClockSample(t_ns=mono, wall_ns=wall)


async def sample_clocks(emit: Callable[[AnyEvent], None]) -> None:
    """Emit paired samples of both clocks until cancelled: a step of the wall clock shows as a change of their difference."""
    while True:
        emit(_sample())
        await anyio.sleep(_SAMPLE_EVERY_S)
