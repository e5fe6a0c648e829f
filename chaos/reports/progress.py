"""What the live view knows: folded from events, with the lines worth telling as they happen. No clock, no screen."""

from __future__ import annotations

from chaos.model.event import (
    Aborted,
    AttemptEnded,
    AttemptStarted,
    BaselineJudged,
    BypassChecked,
    EffectsRead,
    Event,
    EvidenceLost,
    FaultEnded,
    FaultStarted,
    HealChecked,
    Interrupted,
    Note,
    PhaseName,
    PhaseStarted,
    ProbesFinished,
    ProcessExited,
    ProcessStalled,
    ProcessStarted,
    Progress,
    Quiet,
    RunEnded,
    RunStarted,
)
from chaos.reports.text import one_line

__all__ = ["LiveState"]

_TELL_EVERY_NS = 5_000_000_000


class LiveState:
    """The state of a run as its events tell it. `feed` answers the lines to tell now; times in them are seconds of the run.

    With `painted`, progress is on the screen all the time, and only changes are told as lines.
    """

    def __init__(self, *, painted: bool = False) -> None:
        self._painted = painted
        self.start_ns: int | None = None
        self.now_ns = 0
        self.phase: PhaseName | None = None
        self.attempt: AttemptStarted | None = None
        self._faults = 0
        self.active: dict[str, None] = {}
        self.last: Progress | None = None
        self._told_ns = 0

    def __repr__(self) -> str:
        return f"<LiveState {self.phase or 'starting'} {len(self.active)} active>"

    def feed(self, event: Event) -> list[str]:
        """Take an event; answer the lines a person should see: changes at once, progress every five seconds."""
        if self.start_ns is None:
            self.start_ns = self._told_ns = event.t_ns
        self.now_ns = max(self.now_ns, event.t_ns)
        if isinstance(event, Progress):
            return self._progress(event)
        if isinstance(event, PhaseStarted):
            self.phase = event.phase
            self._told_ns = event.t_ns
        text = self._change(event)
        return [f"{self.elapsed_s(event.t_ns):6.1f}s  {one_line(text)}"] if text else []

    def elapsed_s(self, t_ns: int | None = None) -> float:
        """Seconds from the first event to that moment, or to the last event."""
        return max((t_ns or self.now_ns) - (self.start_ns or 0), 0) / 1e9 if self.start_ns is not None else 0.0

    def again(self) -> str:
        """Which second run this is; empty for the first run."""
        return f"second run, {self.attempt.number} of {self.attempt.of}" if self.attempt is not None else ""

    def load(self) -> str:
        """The load in one line: rate and outcomes."""
        one = self.last
        if one is None:
            return ""
        told = f"{one.per_s:.1f} op/s, {one.ok} ok, {one.errors} errors, {one.unanswered} unanswered"
        return f"{told}, {one.in_flight} in flight" if one.in_flight else told

    def _progress(self, event: Progress) -> list[str]:
        self.last = event
        self.active = dict.fromkeys(event.active)
        if self._painted or event.t_ns - self._told_ns < _TELL_EVERY_NS:
            return []
        self._told_ns = event.t_ns
        active = f"; active: {', '.join(self.active)}" if self.active else ""
        return [f"{self.elapsed_s(event.t_ns):6.1f}s  {self.phase or 'starting'}: {one_line(self.load() + active)}"]

    def _change(self, event: Event) -> str:
        match event:
            case RunStarted():
                self._faults = len(event.plan.faults)
                return f"run {event.run_id}, seed {event.plan.scenario.seed}"
            case AttemptStarted():
                self.attempt, self.active = event, {}
                return f"confirming {self._what(event)}: {self.again()}"
            case ProcessStarted() if event.ready_ms:
                return f"{event.name} is up ({event.ready_ms / 1000:.1f} s)"
            case PhaseStarted():
                return f"phase {event.phase}"
            case BaselineJudged():
                return "baseline is steady" if event.steady else f"baseline is not steady: {event.reason}"
            case BypassChecked() if event.around:
                return "; ".join(event.around)
            case BypassChecked() if event.error:
                return f"the bypass check of {event.callee} failed: {event.error}"
            case FaultStarted():
                self.active[f"{event.fault} on {event.link}"] = None
                return f"fault {event.fault} on {event.link} began"
            case FaultEnded():
                self.active.pop(f"{event.fault} on {event.link}", None)
                return f"fault {event.fault} on {event.link} is over ({event.how})"
            case HealChecked() if event.remaining:
                return f"FAULTS REMAIN: {', '.join(event.remaining)}"
            case HealChecked() if event.error:
                return f"healing could not be read back: {event.error}"
            case ProbesFinished():
                return (
                    f"{event.workload} {'recovered' if event.passed else 'did not recover'} after {event.sent} probes"
                )
            case _:
                return self._trouble(event)

    def _what(self, event: AttemptStarted) -> str:
        faults = event.plan.faults
        return "the whole timeline" if len(faults) == self._faults > 1 else ", ".join(one.name for one in faults)

    def _trouble(self, event: Event) -> str:
        match event:
            case ProcessExited() if not event.expected:
                logs = f"logs/attempt-{self.attempt.number}" if self.attempt is not None else "logs"
                return f"{event.name} ended unexpectedly with {event.code}; see {logs}/{event.name}.log"
            case AttemptEnded() if event.how != "complete":
                return f"the second run ended as {event.how}{': ' if event.error else ''}{event.error or ''}"
            case ProcessStalled():
                return f"{event.name} was stopped from outside for up to {(event.end_ns - event.start_ns) / 1e9:.1f} s"
            case Quiet() if not event.reached:
                return f"the stores did not come to rest: {', '.join(event.left)}"
            case EffectsRead() if event.error:
                return f"{event.effect} could not be read back: {event.error}"
            case EvidenceLost():
                return f"lost {event.count} {event.what}"
            case Aborted():
                return f"stopping: {event.why}; healing, then judging what is there"
            case Interrupted():
                return f"{event.signal}: healing, then judging what is there"
            case Note():
                return event.text
            case RunEnded() if event.how != "complete":
                return f"the run ended as {event.how}{': ' if event.error else ''}{event.error or ''}"
            case _:
                return ""
