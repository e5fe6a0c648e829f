"""Deadlines that travel with the call: the rest of the budget in milliseconds, on HTTP and NATS alike.

A hop told to answer within `remaining` waits for its own callee a little less than that, and tells the callee still
less, so that an error from below arrives in time to be passed upward:

    remaining  >  what this hop waits (remaining - max(10 ms, 2 %))  >  what the callee is told (waits - max(20 ms, 5 %))
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

from chaos.reference import lag, problems

__all__ = [
    "BUDGET_HEADER",
    "DEADLINE_HEADER",
    "deadline_unix_ms",
    "limit_ms",
    "passed_on_ms",
    "remaining_ms",
    "settling",
    "travel",
]

BUDGET_HEADER = "X-Budget-Ms"
DEADLINE_HEADER = "X-Deadline-Unix-Ms"

_ends_ms: ContextVar[float | None] = ContextVar("budget_ends_ms", default=None)
_settling: ContextVar[bool] = ContextVar("budget_settling", default=False)


@contextmanager
def travel(headers: Mapping[str, str], *, waited_ms: float = 0.0) -> Iterator[None]:
    """Work under the budget these headers carry (names in lower case); without one every call has its own timeout.

    `waited_ms` is how long the message waited here before it was taken up, as far as that is known: where this process
    runs late it has waited longer. Raises Problem for an unreadable budget.
    """
    token = _ends_ms.set(_ends(headers, waited_ms + lag.recent_ms()))
    try:
        yield
    finally:
        _ends_ms.reset(token)


@contextmanager
def settling() -> Iterator[None]:
    """Work that must be done although the budget may be used up, such as storing a failure: each call's own timeout."""
    token = _settling.set(True)
    try:
        yield
    finally:
        _settling.reset(token)


def remaining_ms() -> float | None:
    """Milliseconds left for the work in hand, negative when late; None when no budget came with it."""
    ends_ms = _ends_ms.get()
    return None if ends_ms is None else ends_ms - _now_ms()


def limit_ms(own_ms: float, dependency: str) -> float:
    """How long to wait for a dependency: its own timeout, cut to what remains. Raises Problem when nothing does."""
    left_ms = remaining_ms()
    if left_ms is None or _settling.get():
        return own_ms
    limit = min(own_ms, left_ms - max(10.0, 0.02 * left_ms))
    if limit <= 0:
        raise problems.deadline_exceeded(dependency, f"no time was left for a call to {dependency}")
    return limit


def passed_on_ms(limit: float) -> int:
    """What to tell a callee that is waited for `limit` milliseconds; less where this process runs late."""
    return max(0, int(limit - max(20.0, 0.05 * limit) - lag.recent_ms()))


def deadline_unix_ms() -> int | None:
    """The end of the budget on the wall clock, for messages that wait in a queue; None without a budget."""
    left_ms = remaining_ms()
    return None if left_ms is None else int(time.time() * 1000 + left_ms)


def _ends(headers: Mapping[str, str], waited_ms: float) -> float | None:
    """The end on our clock. A queued message's is absolute: its relative budget stands still while it waits."""
    if (deadline_ms := _number(headers, DEADLINE_HEADER)) is not None:
        return _now_ms() + deadline_ms - time.time() * 1000
    if (budget_ms := _number(headers, BUDGET_HEADER)) is not None:
        return _now_ms() + budget_ms - waited_ms
    return None


def _number(headers: Mapping[str, str], name: str) -> int | None:
    text = headers.get(name.lower())
    if text is None:
        return None
    if not text.isdecimal():
        raise problems.invalid_request(f"{name} must be a whole number of milliseconds")
    return int(text)


def _now_ms() -> float:
    return time.monotonic() * 1000
