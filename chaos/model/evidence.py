"""Evidence: everything oracles may look at, assembled from a journal. Oracles see nothing else."""

from __future__ import annotations

from chaos.model.base import Data
from chaos.model.effect import StoredEffect
from chaos.model.event import (
    BaselineJudged,
    BypassChecked,
    EffectsRead,
    EvidenceLost,
    HealChecked,
    LoadCounted,
    LoopLagged,
    PhaseName,
    ProbesFinished,
    ProcessExited,
    ProcessStalled,
    Quiet,
    RefusalProbed,
)
from chaos.model.operation import Operation
from chaos.model.plan import Plan
from chaos.model.wire_record import WireRecord

__all__ = ["Evidence", "FaultInterval", "PhaseSpan"]


class PhaseSpan(Data, frozen=True, kw_only=True):
    """A phase with its bounds; `end_ns` is that of the next phase, or of the run."""

    phase: PhaseName
    start_ns: int
    end_ns: int


class FaultInterval(Data, frozen=True, kw_only=True):
    """What really happened with a fault on a link. None where it never began or was never seen to end."""

    fault: str
    link: str
    onset_ns: int | None
    heal_ns: int | None
    planned_start_ns: int
    planned_end_ns: int
    how: str = ""


class Evidence(Data, frozen=True, kw_only=True):
    """A run as far as it is known. `end_how` is that of the terminal event, or `cut off` without one.

    `clock_stepped_ms` is the largest change of wall minus monotonic during the run. `start_ns` and `start_wall_ns` are the first
    record's two clocks, `end_ns` is the last moment the record knows of, `versions` those of the tool and its parts.
    `effects` are what the stores held at the end, `effect_reads` how reading each kind of them went, `quiet` whether the stores were at
    rest then; None when nobody looked.
    `attempts` are second runs, made to confirm what rests on time: each has the plan of what was repeated, and an end of its own.
    """

    run_id: str
    plan: Plan
    operations: tuple[Operation, ...] = ()
    wire: tuple[WireRecord, ...] = ()
    phases: tuple[PhaseSpan, ...] = ()
    faults: tuple[FaultInterval, ...] = ()
    baseline: BaselineJudged | None = None
    bypasses: tuple[BypassChecked, ...] = ()
    refusals: tuple[RefusalProbed, ...] = ()
    heals: tuple[HealChecked, ...] = ()
    loads: tuple[LoadCounted, ...] = ()
    lags: tuple[LoopLagged, ...] = ()
    probes: tuple[ProbesFinished, ...] = ()
    exits: tuple[ProcessExited, ...] = ()
    stalls: tuple[ProcessStalled, ...] = ()
    effects: tuple[StoredEffect, ...] = ()
    effect_reads: tuple[EffectsRead, ...] = ()
    quiet: Quiet | None = None
    lost: tuple[EvidenceLost, ...] = ()
    notes: tuple[str, ...] = ()
    interrupted_by: str | None = None
    aborted: str | None = None
    end_how: str = "complete"
    end_error: str | None = None
    clock_stepped_ms: float = 0.0
    start_ns: int = 0
    start_wall_ns: int = 0
    end_ns: int = 0
    versions: dict[str, str] = {}
    attempts: tuple[Evidence, ...] = ()

    def phase(self, name: PhaseName) -> PhaseSpan | None:
        """The span of that phase, or None when the run never got there."""
        return next((span for span in self.phases if span.phase is name), None)

    def phase_of(self, t_ns: int) -> PhaseName | None:
        """The phase that holds that moment."""
        return next((span.phase for span in self.phases if span.start_ns <= t_ns < span.end_ns), None)
