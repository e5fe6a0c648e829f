"""Retries towards the provider: few, with pauses, only where another attempt can help, never past the budget.

None for a caller that tries again itself.
"""

from __future__ import annotations

import asyncio
import logging
import random
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import httpx

from chaos.reference import budget, telemetry
from chaos.reference.defects import Defects
from chaos.reference.httpcall import Callee
from chaos.reference.problems import Problem

__all__ = ["open_with_retries"]

log = logging.getLogger(__name__)

_ATTEMPTS = 3
_FIRST_PAUSE_MS = 50.0
_LONGEST_PAUSE_MS = 100.0
# What must be left after a pause: an attempt that runs out of time, here or further up, would hide why the first one failed.
_WORTHWHILE_MS = 150.0
_WORTHWHILE_SHARE = 0.3
# Connection refused or 503, and 429: the provider has not begun to work on the request.
_WORTH_ANOTHER = frozenset({"dependency_unavailable", "rate_limited"})


@asynccontextmanager
async def open_with_retries(callee: Callee, path: str, body: bytes, defects: Defects) -> AsyncIterator[httpx.Response]:
    """The first successful answer's beginning; raises the last attempt's Problem."""
    attempts = _attempts(defects)
    async with AsyncExitStack() as held:
        for attempt in range(1, attempts + 1):
            try:
                response = await held.enter_async_context(callee.open(path, body))
                break
            except Problem as problem:
                if attempt == attempts or problem.details.code not in _WORTH_ANOTHER:
                    raise
                pause_ms = _pause_ms(attempt, problem, defects)
                if not _fits(pause_ms, callee):
                    raise
                log.info("attempt %d at %s failed (%s), next in %d ms", attempt, callee.name, problem, pause_ms)
            if not defects.on("retry-without-pause"):
                await asyncio.sleep(pause_ms / 1000)
        yield response


def _attempts(defects: Defects) -> int:
    if defects.on("uncapped-retry"):
        return sys.maxsize
    return 1 if telemetry.retried_above() else _ATTEMPTS


def _pause_ms(attempt: int, problem: Problem, defects: Defects) -> float:
    """Growing, with jitter, and never shorter than Retry-After asks for."""
    pause_ms = min(_FIRST_PAUSE_MS * 2.0 ** (attempt - 1), _LONGEST_PAUSE_MS) * random.uniform(0.5, 1.5)
    if defects.on("retry-after-ignored"):
        return pause_ms
    return max(pause_ms, 1000 * (problem.details.retry_after_s or 0.0))


def _fits(pause_ms: float, callee: Callee) -> bool:
    """Whether a pause leaves time for another attempt: in the budget, or in what a call may take without one."""
    left_ms = budget.remaining_ms()
    if left_ms is None:
        left_ms = callee.timeout_ms
    return pause_ms < left_ms - max(_WORTHWHILE_MS, _WORTHWHILE_SHARE * left_ms)
