"""One run of a record as it is read: events, operations, wire records and effects, in any order, to evidence."""

from __future__ import annotations

from chaos.journal.intervals import FaultTimes
from chaos.journal.names import SEGMENTS
from chaos.journal.reader import JournalReader
from chaos.journal.segment import SegmentReader
from chaos.model.effect import StoredEffect
from chaos.model.event import (
    Aborted,
    AttemptEnded,
    AttemptStarted,
    BaselineJudged,
    BypassChecked,
    ClockSample,
    EffectsRead,
    Event,
    EvidenceLost,
    HealChecked,
    Interrupted,
    LoadCounted,
    LoopLagged,
    Note,
    PhaseName,
    PhaseStarted,
    ProbesFinished,
    ProcessExited,
    ProcessStalled,
    Quiet,
    RefusalProbed,
    RunEnded,
    RunStarted,
    SegmentClosed,
)
from chaos.model.evidence import Evidence, PhaseSpan
from chaos.model.operation import Operation
from chaos.model.wire_record import WireRecord

__all__ = ["CUT_OFF", "CollectedRun"]

CUT_OFF = "cut off"
_RECORDS = {"operations": "operations", "wire": "wire records", "effects": "stored effects"}


class CollectedRun:
    """What was read so far of the first run, or of a second one. `run` is the first record of the whole."""

    def __init__(self, run: RunStarted, attempt: AttemptStarted | None = None) -> None:
        self.number = attempt.number if attempt is not None else 0
        self._run = run
        self._start = attempt or run
        self.end: RunEnded | AttemptEnded | None = None
        self.baseline: BaselineJudged | None = None
        self.interrupted_by: str | None = None
        self.aborted: str | None = None
        self.last_ns = 0
        self.faults = FaultTimes()
        self.phases: list[tuple[PhaseName, int]] = []
        self.clock: list[int] = []
        self.bypasses: list[BypassChecked] = []
        self.refusals: list[RefusalProbed] = []
        self.heals: list[HealChecked] = []
        self.lags: list[LoopLagged] = []
        self.probes: list[ProbesFinished] = []
        self.exits: list[ProcessExited] = []
        self.stalls: list[ProcessStalled] = []
        self.lost: list[EvidenceLost] = []
        self.notes: list[str] = []
        self.loads: dict[tuple[str, PhaseName], LoadCounted] = {}
        self.closed: dict[str, SegmentClosed] = {}
        self.reads: dict[str, EffectsRead] = {}
        self.quiet: Quiet | None = None
        self.operations: list[Operation] = []
        self.effects: list[StoredEffect] = []
        self.wire: list[WireRecord] = []

    def event(self, event: Event) -> None:
        """Take an event of this run."""
        self.last_ns = max(self.last_ns, event.t_ns)
        self.faults.event(event)
        match event:
            case RunStarted():
                self.clock.append(event.wall_ns - event.t_ns)
            case ClockSample():
                self.clock.append(event.wall_ns - event.t_ns)
            case PhaseStarted():
                self.phases.append((event.phase, event.t_ns))
            case BaselineJudged():
                self.baseline = self.baseline or event
            case LoadCounted():
                self.loads[event.workload, event.phase] = event  # counts of a phase so far: the last one stands
            case Interrupted():
                self.interrupted_by = self.interrupted_by or event.signal
            case Quiet():
                self.quiet = event
            case EffectsRead():
                self.reads[event.effect] = event
            case Aborted():
                self.aborted = self.aborted or event.why
            case Note():
                self.notes.append(event.text)
            case SegmentClosed():
                self.closed[event.kind] = event
            case AttemptEnded():
                self.end = event
            case RunEnded():
                self.end = self.end or event  # a second run that has no end of its own went down with the whole
            case _:
                self._listed(event)

    def _listed(self, event: Event) -> None:
        match event:
            case BypassChecked():
                self.bypasses.append(event)
            case RefusalProbed():
                self.refusals.append(event)
            case HealChecked():
                self.heals.append(event)
            case LoopLagged():
                self.lags.append(event)
            case ProbesFinished():
                self.probes.append(event)
            case ProcessExited():
                self.exits.append(event)
            case ProcessStalled():
                self.stalls.append(event)
            case EvidenceLost():
                self.lost.append(event)

    def records(self, records: list[WireRecord]) -> None:
        """Take a batch of the wire log."""
        self.wire.extend(records)
        for record in records:
            self.faults.wire(record)
            if record.kind == "lost":
                self._lost_on_the_wire(record)

    def _lost_on_the_wire(self, record: WireRecord) -> None:
        # Dropped records are counted in `nbytes` (see WIRE_KINDS); the conductor may have told of the same ones already.
        if not any((one.t_ns, one.count) == (record.t_ns, record.nbytes) for one in self.lost):
            what = f"wire records of {record.link or 'the proxy'}"
            self.lost.append(EvidenceLost(t_ns=record.t_ns, what=what, count=record.nbytes))

    def segments(self, reader: JournalReader) -> None:
        """Take what the segments of this run hold."""
        for operations in reader.operations(self.number):
            self.operations.extend(operations)
        for records in reader.wire(self.number):
            self.records(records)
        for effects in reader.effects(self.number):
            self.effects.extend(effects)
        for kind in SEGMENTS:
            self._segment(kind, reader.segment(kind, self.number))

    def damage(self, reader: JournalReader, *, last: bool) -> None:
        """What could not be read of the events is told, and what a verdict may have rested on is lost: of every run, as nobody knows whose
        they were. The torn end is that of the last run.
        """
        if reader.torn_bytes and last:
            self.notes.append(f"the journal ends in {reader.torn_bytes} bytes of an event that was never finished")
        if reader.strange:
            self.notes.append(f"{reader.strange} events are of kinds that this version does not know")
        if reader.damaged:
            self._lose("events", reader.damaged, f"{reader.damaged} lines of the journal are damaged")

    def _segment(self, kind: str, segment: SegmentReader) -> None:
        if segment.damaged:
            self._lose(_RECORDS[kind], segment.damaged, f"{segment.damaged} batches of {segment.path.name} are damaged")
        closed = self.closed.get(kind)
        if closed is not None and segment.whole_bytes < closed.nbytes:
            missing = max(closed.records - segment.records, 1)
            self._lose(
                _RECORDS[kind],
                missing,
                f"{segment.path.name} is shorter than its record says: {missing} records are missing",
            )
        elif segment.torn_bytes:
            self.notes.append(
                f"{segment.path.name} ends in {segment.torn_bytes} bytes of a batch that was never finished"
            )

    def _lose(self, what: str, count: int, note: str) -> None:
        self.lost.append(EvidenceLost(t_ns=self.last_ns, what=what, count=count))
        self.notes.append(note)

    def evidence(self) -> Evidence:
        """The evidence of this run."""
        run, start, end_ns = self._run, self._start, self._end_ns()
        return Evidence(
            run_id=start.run_id,
            plan=start.plan,
            operations=tuple(self.operations),
            wire=tuple(self.wire),
            phases=self._phases(end_ns),
            faults=self.faults.intervals(),
            baseline=self.baseline,
            bypasses=tuple(self.bypasses),
            refusals=tuple(self.refusals),
            heals=tuple(self.heals),
            loads=tuple(self.loads.values()),
            lags=tuple(self.lags),
            probes=tuple(self.probes),
            exits=tuple(self.exits),
            stalls=tuple(self.stalls),
            effects=tuple(self.effects),
            effect_reads=tuple(self.reads.values()),
            quiet=self.quiet,
            lost=tuple(self.lost),
            notes=tuple(self.notes),
            interrupted_by=self.interrupted_by,
            aborted=self.aborted,
            end_how=self.end.how if self.end else CUT_OFF,
            end_error=self.end.error if self.end else None,
            clock_stepped_ms=(max(self.clock) - min(self.clock)) / 1e6 if self.clock else 0.0,
            start_ns=start.t_ns,
            start_wall_ns=run.wall_ns + start.t_ns - run.t_ns,
            end_ns=end_ns,
            versions=run.versions,
        )

    def _end_ns(self) -> int:
        """The terminal event's time; of a record that was cut off, the last moment anything in it tells of."""
        if self.end is not None:
            return self.end.t_ns
        last = max((max(one.end_ns, one.start_ns) for one in self.operations), default=0)
        return max(self.last_ns, last, max((one.t_ns for one in self.wire), default=0))

    def _phases(self, end_ns: int) -> tuple[PhaseSpan, ...]:
        ends = [start_ns for _, start_ns in self.phases[1:]] + [end_ns]
        return tuple(
            PhaseSpan(phase=phase, start_ns=start_ns, end_ns=phase_end_ns)
            for (phase, start_ns), phase_end_ns in zip(self.phases, ends, strict=False)
        )
