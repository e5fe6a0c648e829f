"""Schedules, pure: when operations are meant to start, which one it is, and which faults are on. Time is an argument."""

from __future__ import annotations

from chaos.schedule.arrivals import ArrivalStream
from chaos.schedule.choice import OperationChoice
from chaos.schedule.seeding import stream_rng
from chaos.schedule.timeline import FaultState, active_faults, fault_state, next_change_ms, pending_faults

__all__ = [
    "ArrivalStream",
    "FaultState",
    "OperationChoice",
    "active_faults",
    "fault_state",
    "next_change_ms",
    "pending_faults",
    "stream_rng",
]
