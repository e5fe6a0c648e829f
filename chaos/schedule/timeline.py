"""The timeline of faults: which are to come, on, or over at a moment of the timeline's own clock."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from chaos.model.fault import FaultSpec

__all__ = ["FaultState", "active_faults", "fault_state", "next_change_ms", "pending_faults"]


class FaultState(StrEnum):
    """Where a fault stands. It is on in the half-open interval [at, at + for)."""

    PENDING = "pending"
    ACTIVE = "active"
    OVER = "over"


def fault_state(fault: FaultSpec, now_ms: float) -> FaultState:
    """State of a fault `now_ms` after the timeline's start."""
    if now_ms < fault.at_ms:
        return FaultState.PENDING
    return FaultState.ACTIVE if now_ms < fault.end_ms else FaultState.OVER


def active_faults(faults: Iterable[FaultSpec], now_ms: float) -> tuple[FaultSpec, ...]:
    """Faults that are on, in the order given."""
    return tuple(one for one in faults if fault_state(one, now_ms) is FaultState.ACTIVE)


def pending_faults(faults: Iterable[FaultSpec], now_ms: float) -> tuple[FaultSpec, ...]:
    """Faults that are yet to begin, in the order given."""
    return tuple(one for one in faults if fault_state(one, now_ms) is FaultState.PENDING)


def next_change_ms(faults: Iterable[FaultSpec], now_ms: float) -> float | None:
    """The next moment after `now_ms` at which a fault begins or ends, or None when all is over."""
    edges = (edge for one in faults for edge in (one.at_ms, one.end_ms) if edge > now_ms)
    return min(edges, default=None)
