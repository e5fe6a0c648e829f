"""A scenario: system, links, workloads, timeline, expectations and seed. Data, no code."""

from __future__ import annotations

from enum import StrEnum

from chaos.model.base import Data
from chaos.model.effect import Ledger
from chaos.model.fault import FaultSpec
from chaos.model.link import Link
from chaos.model.plain import BUDGET_HEADER, WITHOUT_HEADERS, PlainWorkload
from chaos.model.settings import PhaseLimits, Settings
from chaos.model.system import SystemModel

__all__ = [
    "DERIVED",
    "AbortMetric",
    "AbortWhen",
    "Arrivals",
    "Baseline",
    "Expectations",
    "LinkMap",
    "Recovery",
    "RetryCaps",
    "Scenario",
    "Timeline",
    "WorkloadSpec",
]


class Arrivals(StrEnum):
    """Arrival process of an open-loop workload: exponential gaps, or equal ones."""

    POISSON = "poisson"
    CONSTANT = "constant"


DERIVED = "system"
"""The name of a link map that follows from a system of one's own."""


class LinkMap(Data, frozen=True, kw_only=True):
    """Which edges exist, in order. `name` is the map's file stem."""

    name: str
    links: tuple[Link, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all links, in order."""
        return tuple(link.name for link in self.links)


class WorkloadSpec(Data, frozen=True, kw_only=True):
    """A workload of a scenario. `bound` is the most operations in flight: a start beyond it is dropped and counted.

    `operations` maps operation names to weights; empty means those of the kind. `deadline_ms` overrides the synchronous operations'
    D, `completion_ms` that of the asynchronous ones. `plain` holds the operations of the kinds whose operations stand in the scenario.
    """

    name: str
    kind: str
    rate_per_s: float
    arrivals: Arrivals = Arrivals.POISSON
    bound: int = 32
    deadline_ms: float | None = None
    completion_ms: float | None = None
    operations: dict[str, int] = {}
    plain: PlainWorkload | None = None

    @property
    def carries_context(self) -> bool:
        """Whether its requests have headers, by which the driver hands over trace context."""
        return self.kind not in WITHOUT_HEADERS


class Baseline(Data, frozen=True, kw_only=True):
    """Steady state: two consecutive windows that hold enough operations, answer ok and keep their medians, within a time."""

    window_ms: float = 5000.0
    min_operations: int = 100
    min_per_workload: int = 10
    within_ms: float = 60_000.0


class Recovery(Data, frozen=True, kw_only=True):
    """After healing: k probes in a row per workload must be right and quick within T."""

    within_ms: float = 10_000.0
    probes: int = 5


class AbortMetric(StrEnum):
    """What an abort condition looks at: shares of operations, or milliseconds."""

    ERROR_RATE = "error_rate"
    P99 = "p99"
    LATE_STARTS = "late_starts"


class AbortWhen(Data, frozen=True, kw_only=True):
    """Stop the drill when a metric over the last window is above its bound (a share, or milliseconds for p99). Workload empty: all."""

    metric: AbortMetric
    above: float
    window_ms: float = 5000.0
    samples: int = 50
    workload: str = ""


class Timeline(Data, frozen=True, kw_only=True):
    """Faults on one clock that starts when the baseline is steady; `abort` ends it early."""

    faults: tuple[FaultSpec, ...]
    baseline: Baseline = Baseline()
    recovery: Recovery = Recovery()
    abort: tuple[AbortWhen, ...] = ()

    @property
    def end_ms(self) -> float:
        """Planned end of the last fault."""
        return max((fault.end_ms for fault in self.faults), default=0.0)


class RetryCaps(Data, frozen=True, kw_only=True):
    """How often the same thing may be attempted for an operation, and how many times the baseline's messages it may cause in all.

    None leaves it to the settings.
    """

    attempts: int | None = None
    factor: float | None = None


class Expectations(Data, frozen=True, kw_only=True):
    """Which oracles are asked (all by default), their settings, and what is declared per operation or phase.

    `statuses` allows further error statuses per operation name, `retries` has its caps in place of those in the settings; `phases` holds
    limits for baseline, faults and recovery. `confirm` is how many second runs there may be for what rests on time; None: the usual number
    on a system that the run starts, none on any other.
    """

    oracles: tuple[str, ...] | None = None
    settings: Settings = Settings()
    statuses: dict[str, tuple[int, ...]] = {}
    retries: dict[str, RetryCaps] = {}
    phases: dict[str, PhaseLimits] = {}
    confirm: int | None = None


class Scenario(Data, frozen=True, kw_only=True):
    """One drill. `system` is a shipped one's name, or `own` with the model of the user's and what it
    declares of its effects. `sha256` is the hex digest of the file's bytes, `source` its path as given.

    `budget_header` is the header by which the deadline travels between services of the system, in milliseconds; None if none does.
    """

    name: str
    about: str = ""
    system: str = "reference"
    own: SystemModel | None = None
    effects: Ledger = Ledger()
    links: LinkMap
    workloads: tuple[WorkloadSpec, ...]
    timeline: Timeline
    expect: Expectations = Expectations()
    seed: int = 0
    allow_hosts: tuple[str, ...] = ()
    budget_header: str | None = BUDGET_HEADER
    source: str = ""
    sha256: str = ""
