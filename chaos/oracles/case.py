"""A run as oracles look at it: the evidence with its indexes, each built once, when the first oracle asks for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from operator import attrgetter

from chaos.model.event import LoopLagged, PhaseName
from chaos.model.evidence import Evidence
from chaos.model.fault import FaultSpec
from chaos.model.link import Link, Protocol
from chaos.model.operation import AnswerKind, Operation
from chaos.model.settings import Settings
from chaos.model.wire_record import WireRecord
from chaos.model.workload import OperationKind
from chaos.oracles.algebra import Decision
from chaos.oracles.between import DRIVER, shields_system
from chaos.oracles.bystanders import find_bystanders
from chaos.oracles.concern import NS_PER_MS, Concern, Concerns, find_concerns, until_ns
from chaos.oracles.hops import Hop, Hops, find_hops
from chaos.oracles.proof import Proof, prove
from chaos.oracles.stored import Stored
from chaos.oracles.strays import find_strays
from chaos.oracles.usual import usual_latencies_ms, usual_messages

__all__ = ["Case", "unanswered"]

CLOCK_STEP_MS = 50.0
_TOLD_LATE_NS = 500_000_000  # a death is recorded when the news arrives: callers may have met it before


class Case:
    """Evidence of one run. Nothing in here depends on an oracle, and no oracle on another."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        self.plan = evidence.plan
        self.settings: Settings = evidence.plan.scenario.expect.settings

    def __repr__(self) -> str:
        return f"<Case {self.evidence.run_id}: {len(self.evidence.operations)} operations, {len(self.evidence.wire)} records>"

    @cached_property
    def links(self) -> dict[str, Link]:
        """Links by name."""
        return {link.name: link for link in self.plan.links}

    @cached_property
    def faults(self) -> dict[str, FaultSpec]:
        """Faults by name."""
        return {fault.name: fault for fault in self.plan.faults}

    def shields(self, link: str, route: tuple[str, ...]) -> bool:
        """True if a fault on the link sits between the driver and the system for operations of this route."""
        known = self._shields.get((link, route))
        if known is None:
            known = link in self.links and shields_system(self.links[link], route, self.links)
            self._shields[link, route] = known
        return known

    @cached_property
    def _shields(self) -> dict[tuple[str, tuple[str, ...]], bool]:
        return {}

    @cached_property
    def concerns(self) -> Concerns:
        """Which faults concern which operations."""
        return find_concerns(self.evidence)

    @cached_property
    def proofs(self) -> dict[tuple[str, str], Proof]:
        """Whether each fault acted on each of its links."""
        return prove(self.evidence, self.concerns)

    @cached_property
    def populations(self) -> dict[tuple[str | None, str], list[int]]:
        """Indexes of operations by (fault, workload): those it hits or exposes; under None, those that no fault concerns.

        Operations before the baseline or after the services were told to stop belong to no cell.
        """
        first_ns, last_ns = self._observed_span()
        found: dict[tuple[str | None, str], list[int]] = {}
        for index, (operation, near) in enumerate(zip(self.evidence.operations, self.concerns.of, strict=True)):
            if not first_ns <= operation.start_ns < last_ns:
                continue
            for fault in {one.fault for one in near} if near else (None,):
                found.setdefault((fault, operation.workload), []).append(index)
        return found

    def _observed_span(self) -> tuple[int, int]:
        baseline, stop = self.evidence.phase(PhaseName.BASELINE), self.evidence.phase(PhaseName.STOP)
        return baseline.start_ns if baseline else 0, stop.start_ns if stop else 1 << 63

    @cached_property
    def healed_ns(self) -> int | None:
        """When the last fault was gone, or None if none began or one was never seen to end."""
        began = [one for one in self.evidence.faults if one.onset_ns is not None]
        ends = [one.heal_ns for one in began if one.heal_ns is not None]
        clean = [one.t_ns for one in self.evidence.heals if not one.remaining and one.error is None]
        if not began or (len(ends) < len(began) and not clean):
            return None
        return max(ends) if len(ends) == len(began) else max([*ends, min(clean)])

    # --- What the observer itself did, or failed to do.

    @cached_property
    def clock_stepped(self) -> str:
        """Why nothing that rests on time can be said; empty if it can."""
        step_ms = self.evidence.clock_stepped_ms
        return f"the clock stepped by {step_ms:.0f} ms" if step_ms > CLOCK_STEP_MS else ""

    @cached_property
    def lags(self) -> tuple[LoopLagged, ...]:
        """Times in which the driver's loop did not run, longer than the setting allows."""
        least_ns = self.settings.loop_lag_ms * NS_PER_MS
        return tuple(
            sorted(
                (one for one in self.evidence.lags if one.end_ns - one.start_ns > least_ns), key=attrgetter("start_ns")
            )
        )

    def lag_ms(self, start_ns: int, end_ns: int) -> float:
        """How long the driver's loop stood still in lags that overlap the interval, milliseconds."""
        over = [one for one in self.lags if one.start_ns <= end_ns and start_ns <= one.end_ns]
        return sum(one.end_ns - one.start_ns for one in over) / NS_PER_MS

    @cached_property
    def incomplete(self) -> str:
        """Why operations may be missing, so that their silence proves nothing; empty if none are."""
        if self.evidence.end_how not in {"complete", "interrupted", "aborted"}:
            return f"the run ended as {self.evidence.end_how!r}: operations may be missing"
        lost = [one for one in self.evidence.lost if not _is_about(one.what, "wire", "lease", "effect")]
        return f"{sum(one.count for one in lost)} records of {lost[0].what} were lost" if lost else ""

    @cached_property
    def wire_lost(self) -> bool:
        """True if records of the wire log are missing."""
        lost = any(not _is_about(one.what, "operation", "lease", "effect") for one in self.evidence.lost)
        return lost or any(one.kind == "lost" for one in self.evidence.wire)

    def watched(self, operation: Operation, limit_ms: float) -> bool:
        """True if an operation without an answer was watched for `limit_ms` from its start.

        A complete run gave every operation its whole wait. In one that was ended early the driver surely watched until its last
        answer; what was in flight after that was abandoned.
        """
        limit_ns = operation.start_ns + int(limit_ms * NS_PER_MS)
        return limit_ns <= self._watched_until_ns

    @cached_property
    def _watched_until_ns(self) -> int:
        last_ns = max((one.end_ns for one in self.evidence.operations), default=0)
        if self.evidence.end_how != "complete" or self.evidence.interrupted_by is not None:
            return last_ns
        stop = self.evidence.phase(PhaseName.STOP)
        ends = [stop.start_ns] if stop else [span.end_ns for span in self.evidence.phases]
        return max([last_ns, *ends]) if ends else 1 << 63

    def broken_rig(self, operation: Operation) -> str:
        """Why an operation's failure may be ours: a part that this run provides had died by the time it ended, or a process was
        stopped from outside meanwhile; empty if neither.
        """
        end_ns = until_ns(operation)
        stalled = (one for one in self.evidence.stalls if one.start_ns <= end_ns and operation.start_ns <= one.end_ns)
        died = next((text for t_ns, text in self._deaths if t_ns - _TOLD_LATE_NS <= end_ns), "")
        return died or next((f"{one.name} was stopped from outside" for one in stalled if one.name != DRIVER), "")

    @cached_property
    def _deaths(self) -> tuple[tuple[int, str], ...]:
        stores = {one.callee for one in self.plan.links if one.protocol in {Protocol.POSTGRES, Protocol.NATS}}
        ours = stores | {"proxy"}
        exits = [
            (one.t_ns, f"{one.name} died ({one.code})")
            for one in self.evidence.exits
            if one.name in ours and not one.expected
        ]
        gone = [
            (one.heal_ns or one.planned_start_ns, "the proxy went away")
            for one in self.evidence.faults
            if one.how == "proxy-gone"
        ]
        return tuple(exits + gone)

    @cached_property
    def steady_from_ns(self) -> int | None:
        """About when the two steady windows began, before which the system was warming up; None if it never was steady."""
        baseline = self.evidence.baseline
        if baseline is None or not baseline.steady:
            return None
        return baseline.t_ns - int(2 * self.plan.scenario.timeline.baseline.window_ms * NS_PER_MS)

    # --- Recovery.

    def recovering(self, operation: Operation) -> bool:
        """True between healing and the workload's recovery, on a route that a fault had touched: `recovers` judges that time."""
        span = self._recovery_span(operation.workload)
        if span is None or not span[0] <= operation.start_ns < span[1]:
            return False
        return any(one.certain and one.link in operation.route for one in self.concerns.windows)

    def _recovery_span(self, workload: str) -> tuple[int, int] | None:
        if workload not in self._recovery_spans:
            self._recovery_spans[workload] = self._find_recovery_span(workload)
        return self._recovery_spans[workload]

    @cached_property
    def _recovery_spans(self) -> dict[str, tuple[int, int] | None]:
        return {}

    def _find_recovery_span(self, workload: str) -> tuple[int, int] | None:
        asked = any(one.oracle == "recovers" and one.workload == workload for one in self.plan.cells)
        if self.healed_ns is None or not asked:
            return None
        limit_ns = self.healed_ns + int(self.plan.scenario.timeline.recovery.within_ms * NS_PER_MS)
        ended = [one.t_ns for one in self.evidence.probes if one.workload == workload]
        return self.healed_ns, min([limit_ns, *ended])

    # --- The wire log, by operation.

    def story(self, operation: Operation) -> Sequence[WireRecord]:
        """The wire records of the operation's trace, in time."""
        rows = self._by_trace.get(operation.trace_id, ()) if operation.trace_id else ()
        return sorted((self.evidence.wire[i] for i in rows), key=attrgetter("t_ns"))

    @cached_property
    def _by_trace(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        requests: dict[tuple[str, int, int], str] = {}
        for index, one in enumerate(self.evidence.wire):
            if one.kind not in {"request", "reply"}:
                continue
            key = one.link, one.connection, one.number
            trace = one.trace_id or requests.get(key, "")
            if one.kind == "request":
                requests[key] = trace
            if trace:
                found.setdefault(trace, []).append(index)
        return found

    @cached_property
    def hops(self) -> Hops:
        """Messages of applications, by trace, each with its end."""
        return find_hops(self.evidence)

    @cached_property
    def strays(self) -> dict[str, list[Hop]]:
        """Messages without this run's trace context, by the op id they most likely belong to."""
        return find_strays(self.evidence, self.hops, *self._observed_span())

    @cached_property
    def usual_ms(self) -> dict[tuple[str, str], float]:
        """Median latency in the steady baseline, by workload and operation."""
        return usual_latencies_ms(self.evidence, self.steady_from_ns)

    @cached_property
    def usual_messages(self) -> dict[tuple[str, str], int]:
        """The most messages of services that an operation needed in the baseline, by workload and operation."""
        return usual_messages(self.evidence, self.hops)

    @cached_property
    def decided(self) -> dict[tuple[str, str], Decision]:
        """What was decided on an operation by what the wire shows of it, whatever the cell: by oracle and op id."""
        return {}

    # --- Effects.

    @cached_property
    def stored(self) -> Stored:
        """What the stores held in the end."""
        return Stored(self.evidence)

    def kind_of(self, operation: Operation) -> OperationKind | None:
        """What the plan says of operations like this one."""
        return self._operation_kinds.get((operation.workload, operation.name))

    @cached_property
    def _operation_kinds(self) -> dict[tuple[str, str], OperationKind]:
        return {(workload.name, one.name): one for workload in self.plan.workloads for one in workload.operations}

    # --- Cells.

    @cached_property
    def bystanders(self) -> dict[tuple[str, str], list[int]]:
        """Indexes of operations by (fault, workload) that overlap the fault and that neither it nor another concerns."""
        return find_bystanders(self.evidence, self.concerns, *self._observed_span())

    def members(self, fault: str | None, workload: str) -> Iterator[tuple[int, Operation, tuple[Concern, ...]]]:
        """The operations of a cell, with their place and all that concerns them."""
        operations, concerns = self.evidence.operations, self.concerns.of
        for index in self.populations.get((fault, workload), ()):
            yield index, operations[index], concerns[index]


def unanswered(operation: Operation) -> bool:
    """True if neither an answer nor a completion came within the wait."""
    return operation.answer.kind in {AnswerKind.NONE, AnswerKind.ACCEPTED}


def _is_about(what: str, *words: str) -> bool:
    return any(word in what for word in words)
