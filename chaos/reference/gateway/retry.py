"""Retries towards the provider: few, with pauses, only where another attempt can help, never past the budget."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from email.utils import parsedate_to_datetime

import httpx

from chaos.reference import budget
from chaos.reference.httpcall import Callee
from chaos.reference.problems import Problem

__all__ = ["open_with_retries", "retry_after_ms"]

log = logging.getLogger(__name__)

_ATTEMPTS = 3
_FIRST_PAUSE_MS = 50.0
# Connection refused or 503, and 429: the provider has not begun to work on the request.
_WORTH_ANOTHER = frozenset({"dependency_unavailable", "rate_limited"})


@asynccontextmanager
async def open_with_retries(callee: Callee, path: str, body: bytes) -> AsyncIterator[httpx.Response]:
    """The first successful answer's beginning; raises the last attempt's Problem."""
    async with AsyncExitStack() as held:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                response = await held.enter_async_context(callee.open(path, body))
                break
            except Problem as problem:
                pause_ms = _pause_ms(attempt, problem)
                if attempt == _ATTEMPTS or problem.details.code not in _WORTH_ANOTHER or not _affordable(pause_ms):
                    raise
                log.info("attempt %d at %s failed (%s), next in %d ms", attempt, callee.name, problem, pause_ms)
            await asyncio.sleep(pause_ms / 1000)
        yield response


def _pause_ms(attempt: int, problem: Problem) -> float:
    """Exponential with jitter, never shorter than Retry-After asks for."""
    pause_ms = _FIRST_PAUSE_MS * 2.0 ** (attempt - 1) * random.uniform(0.5, 1.5)
    return max(pause_ms, retry_after_ms(problem.retry_after))


def retry_after_ms(text: str | None) -> float:
    """Seconds or an HTTP date (RFC 9110, 10.2.3); what is neither asks for nothing."""
    if text is None:
        return 0.0
    if text.strip().isdecimal():
        return float(text) * 1000
    try:
        return (parsedate_to_datetime(text).timestamp() - time.time()) * 1000
    except ValueError:
        return 0.0


def _affordable(pause_ms: float) -> bool:
    left_ms = budget.remaining_ms()
    return left_ms is None or pause_ms < left_ms
