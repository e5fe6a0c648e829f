"""Waits: what failed, or seems to have, only because time ran out somewhere, which a slow machine brings about, too."""

from __future__ import annotations

from chaos.model.operation import Operation
from chaos.oracles.algebra import Decision, undecided
from chaos.oracles.case import Case
from chaos.oracles.concern import NS_PER_MS, until_ns, wait_ms

__all__ = ["bound_ms", "slow_from_ms", "stood_still", "timed_out"]

_TIMEOUT, _UNAVAILABLE = 504, 503


def bound_ms(case: Case, operation: Operation) -> float:
    """By when an answer is due, from the start: D, and slack."""
    settings = case.settings
    return operation.deadline_ms + max(settings.bound_slack_ms, settings.bound_slack_ratio * operation.deadline_ms)


def stood_still(case: Case, operation: Operation) -> Decision | None:
    """Why silence may be the driver's own: it waits far longer than is allowed, so only a lag as long as the rest can hide an answer in time."""
    lag_ms = case.lag_ms(operation.start_ns, until_ns(operation)) if case.lags else 0.0
    hides = lag_ms and lag_ms >= wait_ms(operation) - bound_ms(case, operation)
    return undecided("the driver's loop stood still meanwhile") if hides else None


def slow_from_ms(case: Case, operation: Operation) -> float | None:
    """What such operations take when they are slow beside the baseline; None if that has none of them."""
    usual_ms = case.usual_ms.get((operation.workload, operation.name))
    if usual_ms is None:
        return None
    return max(usual_ms * case.settings.isolation_factor, usual_ms + case.settings.isolation_floor_ms)


def timed_out(case: Case, operation: Operation) -> bool:
    """True for a 504, and for a 503 that was slow to come: so services tell that their own pool or queue had no room in time."""
    status = operation.answer.status
    if status != _UNAVAILABLE:
        return status == _TIMEOUT
    limit_ms = slow_from_ms(case, operation)
    return limit_ms is not None and (operation.end_ns - operation.start_ns) / NS_PER_MS > limit_ms
