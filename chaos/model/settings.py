"""The numbers verdicts rest on, with their defaults; the values used stand in the journal and the report."""

from __future__ import annotations

from chaos.model.base import Data

__all__ = ["PhaseLimits", "Settings"]


class PhaseLimits(Data, frozen=True, kw_only=True):
    """Bounds a phase must keep. None means not asked. Rates are fractions, latencies milliseconds from the intended start."""

    error_rate: float | None = None
    p50_ms: float | None = None
    p99_ms: float | None = None
    min_rate_per_s: float | None = None


class Settings(Data, frozen=True, kw_only=True):
    """Settings of the oracles (names as in the scenario's `expect.settings`).

    `settle_ms`: exposure goes on this long after heal. `bound_slack_ms`/`bound_slack_ratio`: an answer is in time until
    D + max(both). `required_operations`: decided operations a cell needs. `undecided_ratio`: tolerated undecided share (at least one).
    `loop_lag_ms`: driver lag above this makes the operations it overlaps undecided for timing oracles.
    `speed_factor`, `speed_floor_ms`: baseline speed is p50 x factor, or p50 + floor, whichever is more.
    `isolation_factor`, `isolation_floor_ms`: the same for the median of operations that a fault does not concern, while it lasts.
    `retry_attempts`, `retry_factor`: attempts at one thing, and messages of an operation as a multiple of the baseline's.
    `quiet_ms`: how long the audit waits for the stores to come to rest.
    `late_ms`, `load_loss_ratio`: a start later than this is late; more late or dropped starts than the ratio make a phase UNKNOWN.
    """

    settle_ms: float = 2000.0
    bound_slack_ms: float = 100.0
    bound_slack_ratio: float = 0.1
    required_operations: int = 20
    undecided_ratio: float = 0.01
    loop_lag_ms: float = 50.0
    speed_factor: float = 3.0
    speed_floor_ms: float = 50.0
    isolation_factor: float = 3.0
    isolation_floor_ms: float = 50.0
    retry_attempts: int = 5
    retry_factor: float = 3.0
    heal_deadline_ms: float = 5000.0
    quiet_ms: float = 25_000.0
    late_ms: float = 100.0
    load_loss_ratio: float = 0.05
    baseline_ok_ratio: float = 0.999
    baseline_median_ratio: float = 0.25
    baseline_median_floor_ms: float = 50.0
