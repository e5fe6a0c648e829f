"""Events: the rows of a run's journal. The first is `RunStarted`, the last on every path is `RunEnded`.

All `*_ns` are CLOCK_MONOTONIC nanoseconds unless the name says wall. Each class is tagged by its name in the field `event`.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from chaos.model.plan import Plan

__all__ = [
    "JOURNAL_FORMAT", "Aborted", "AnyEvent", "AttemptEnded", "AttemptStarted", "BaselineJudged", "BypassChecked", "ClockSample", "EffectsRead", "Event",
    "EvidenceLost", "FaultArmed", "FaultEnded", "FaultStarted", "HealChecked", "Interrupted", "LinkUp", "LoadCounted", "LoopLagged", "Note", "PhaseName", "PhaseStarted", "ProbesFinished",
    "ProcessExited", "ProcessStalled", "ProcessStarted", "Progress", "Quiet", "RefusalProbed", "RunEnded", "RunStarted", "SegmentClosed",
]  # fmt: skip

JOURNAL_FORMAT = 1


class PhaseName(StrEnum):
    """Phases of a run, in order. An operation belongs to the phase of its intended start."""

    PREFLIGHT = "preflight"
    BRING_UP = "bring-up"
    BASELINE = "baseline"
    FAULTS = "faults"
    HEAL = "heal"
    RECOVERY = "recovery"
    QUIESCENCE = "quiescence"
    AUDIT = "audit"
    STOP = "stop"
    JUDGE = "judge"


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", omit_defaults=True):
    """Base of all events."""

    t_ns: int


class RunStarted(Event, frozen=True, kw_only=True, tag=True):
    """First record: format, run, the whole plan, and the versions of everything. `wall_ns` is Unix time."""

    format: int
    run_id: str
    wall_ns: int
    plan: Plan
    versions: dict[str, str]


class ClockSample(Event, frozen=True, kw_only=True, tag=True):
    """Paired reading of both clocks."""

    wall_ns: int


class PhaseStarted(Event, frozen=True, kw_only=True, tag=True):
    """A phase began; it ends where the next one begins."""

    phase: PhaseName


class ProcessStarted(Event, frozen=True, kw_only=True, tag=True):
    """A child of the run is up. `log` is relative to the run's folder; `ready_ms` is how long it took to be ready."""

    name: str
    pid: int
    log: str = ""
    ready_ms: float = 0.0


class ProcessExited(Event, frozen=True, kw_only=True, tag=True):
    """A child ended; negative codes are signals. `expected` when we ended it."""

    name: str
    code: int
    expected: bool


class ProcessStalled(Event, frozen=True, kw_only=True, tag=True):
    """A process of the run was stopped (SIGSTOP) by somebody else, at most from `start_ns` to `end_ns`."""

    name: str
    start_ns: int
    end_ns: int


class LinkUp(Event, frozen=True, kw_only=True, tag=True):
    """A link's listener is up."""

    link: str
    listen: str
    upstream: str


class BaselineJudged(Event, frozen=True, kw_only=True, tag=True):
    """The end of the baseline: whether it was steady, and why not. `medians_ms` and `p99s_ms` per workload."""

    steady: bool
    reason: str
    operations: int
    medians_ms: dict[str, float] = {}
    p99s_ms: dict[str, float] = {}


class BypassChecked(Event, frozen=True, kw_only=True, tag=True):
    """Whether any connection at `callee` came around its proxy, by the callee's own word; asked before the faults and at quiescence.

    `through` counts connections that came through a link. `around` says who did not, a line for each; `error` why it is not known.
    """

    callee: str
    through: int = 0
    around: tuple[str, ...] = ()
    error: str | None = None


class FaultArmed(Event, frozen=True, kw_only=True, tag=True):
    """A fault was scheduled in the proxy."""

    fault: str
    link: str
    start_ns: int
    end_ns: int


class FaultStarted(Event, frozen=True, kw_only=True, tag=True):
    """A fault really began at `t_ns` (the proxy's record)."""

    fault: str
    link: str


class FaultEnded(Event, frozen=True, kw_only=True, tag=True):
    """A fault really ended at `t_ns`. `how`: ended, healed, lease, hard-end, replaced, proxy-gone."""

    fault: str
    link: str
    how: str


class RefusalProbed(Event, frozen=True, kw_only=True, tag=True):
    """A connect probe of ours on a refusing link: refused, accepted, or timeout."""

    fault: str
    link: str
    result: str


class HealChecked(Event, frozen=True, kw_only=True, tag=True):
    """Read-back after healing. `remaining` holds `fault on link` texts; `error` when it could not be read."""

    remaining: tuple[str, ...] = ()
    error: str | None = None


class LoadCounted(Event, frozen=True, kw_only=True, tag=True):
    """What the driver started and what it could not, per workload and phase, since the run's start of that phase."""

    workload: str
    phase: PhaseName
    started: int
    dropped: int
    late: int


class LoopLagged(Event, frozen=True, kw_only=True, tag=True):
    """The driver's loop did not run between `start_ns` and `end_ns` (beyond its tick)."""

    start_ns: int
    end_ns: int


class ProbesFinished(Event, frozen=True, kw_only=True, tag=True):
    """Recovery probes of a workload ended: k in a row were right and quick, or the time was over."""

    workload: str
    passed: bool
    in_a_row: int
    sent: int


class Quiet(Event, frozen=True, kw_only=True, tag=True):
    """Whether the stores came to rest before they were read back: nothing under way, twice in a row. `left` is what still was."""

    reached: bool
    waited_ms: float
    left: tuple[str, ...] = ()


class EffectsRead(Event, frozen=True, kw_only=True, tag=True):
    """A kind of effect was read back from its store: `count` of them stand in the segment of effects.

    `removed` messages that the stream took in since the run began are there no more, so that one that is missing proves nothing. With an `error` the kind
    could not be read, and nothing of it was recorded.
    """

    effect: str
    count: int = 0
    removed: int = 0
    error: str | None = None


class EvidenceLost(Event, frozen=True, kw_only=True, tag=True):
    """Evidence that was dropped or cannot be had; what depends on it is UNKNOWN."""

    what: str
    count: int


class Interrupted(Event, frozen=True, kw_only=True, tag=True):
    """A signal ended the run early; it was healed, and what is there is judged."""

    signal: str


class Aborted(Event, frozen=True, kw_only=True, tag=True):
    """An abort condition was met: `why` in a line. Everything was healed at once, and what is there is judged."""

    why: str


class AttemptStarted(Event, frozen=True, kw_only=True, tag=True):
    """A second run began, `number` of `of`, to confirm what rests on time in `cells`; `plan` is what it repeats.

    What follows, up to the next one or the end of the record, is of this run, in segments of its own. The first run was complete by then.
    `run_id` is what operations are named by.
    """

    run_id: str
    number: int
    of: int
    cells: tuple[str, ...]
    plan: Plan


class AttemptEnded(Event, frozen=True, kw_only=True, tag=True):
    """A second run ended. `how` and `error` as in `RunEnded`."""

    how: str
    error: str | None = None


class Note(Event, frozen=True, kw_only=True, tag=True):
    """A remark a reader should see."""

    text: str


class Progress(Event, frozen=True, kw_only=True, tag=True):
    """For the live view only, never stored: operations so far, outcomes and active faults."""

    per_s: float
    ok: int
    errors: int
    unanswered: int
    in_flight: int
    active: tuple[str, ...] = ()


class SegmentClosed(Event, frozen=True, kw_only=True, tag=True):
    """A segment file beside the journal is complete: its kind (operations, wire, effects), records and bytes."""

    name: str
    kind: str
    records: int
    nbytes: int


class RunEnded(Event, frozen=True, kw_only=True, tag=True):
    """Terminal event. `how`: complete, interrupted, aborted, failed. `error` is a line for a person."""

    how: str
    error: str | None = None


AnyEvent = (
    RunStarted | ClockSample | PhaseStarted | ProcessStarted | ProcessExited | ProcessStalled | LinkUp | BaselineJudged | BypassChecked | FaultArmed
    | FaultStarted | FaultEnded | RefusalProbed | HealChecked | LoadCounted | LoopLagged | ProbesFinished | Quiet | EffectsRead | EvidenceLost
    | AttemptStarted | AttemptEnded | Aborted | Interrupted | Note | Progress | SegmentClosed | RunEnded
)  # fmt: skip
