"""One operation from its intended start to its record: sent, waited for, judged."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

import anyio

from chaos.model.operation import Answer, AnswerKind, Operation
from chaos.model.plan import WorkloadPlan
from chaos.model.workload import OperationKind
from chaos.workloads import identity
from chaos.workloads.call import Call, Outcome, new_call, plain_call
from chaos.workloads.corpus import Corpus
from chaos.workloads.effects import effect_of
from chaos.workloads.operations import Doors, Runner, find_runner
from chaos.workloads.protocol import DriverPlan

__all__ = ["Departure", "Flight", "Pilot"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Departure:
    """A start: the n-th operation of a workload, which one it is, and when it was meant to start (CLOCK_MONOTONIC)."""

    workload: WorkloadPlan
    operation: OperationKind
    index: int
    intended_ns: int
    probe: bool = False


class Flight:
    """An operation in the air. Once it landed, `operation` is its record, or None when it was abandoned or lost."""

    def __init__(self, departure: Departure) -> None:
        self.departure = departure
        self.operation: Operation | None = None
        self.abandoned = False
        self.landed = anyio.Event()
        self.scope = anyio.CancelScope()

    def abandon(self) -> None:
        """Stop waiting for its answer; it leaves no record, because nothing is known about it."""
        self.abandoned = True
        self.scope.cancel()


class Pilot:
    """Flies the operations of one run."""

    def __init__(self, plan: DriverPlan, doors: Doors, corpus: Corpus) -> None:
        self._plan = plan
        self._doors = doors
        self._corpus = corpus
        self._runners: dict[tuple[str, str], Runner] = {}

    async def fly(self, flight: Flight) -> None:
        """Send the operation and wait until D + max(2 s, D); what comes of it stands in `flight.operation`."""
        departure = flight.departure
        call = self._call(departure)
        runner = self._runner(departure)
        start_ns = time.monotonic_ns()
        flight.scope.deadline = anyio.current_time() + call.wait_s
        try:
            with flight.scope:
                flight.operation = _record(departure, call, start_ns, await runner(call, self._doors))
                return
        # A mistake in judging one answer must not end the load, nor be blamed on the system.
        except Exception:  # noqa: BLE001
            _log.exception("operation %s was lost", call.op_id)
            return
        if not flight.abandoned:
            flight.operation = _record(departure, call, start_ns, _unanswered(call))

    def _call(self, departure: Departure) -> Call:
        name, deadline_ms, plain = (
            departure.workload.name,
            departure.operation.deadline_ms,
            departure.workload.spec.plain,
        )
        op_id = identity.op_id(self._plan.run_id, name, departure.index)
        if plain is None:
            return new_call(self._plan.seed, op_id, deadline_ms, self._corpus)
        return plain_call(
            self._plan.seed,
            op_id,
            deadline_ms,
            workload=name,
            index=departure.index,
            budget_header=plain.budget_header,
            environment=self._plan.environment,
        )

    def _runner(self, departure: Departure) -> Runner:
        """Found, or for a plain operation made, once."""
        key = departure.workload.name, departure.operation.name
        runner = self._runners.get(key)
        if runner is None:
            runner = find_runner(departure.workload.spec, departure.operation.name)
            if runner is None:
                raise LookupError(f"no runner for {key[0]}.{key[1]}")
            self._runners[key] = runner
        return runner


def _unanswered(call: Call) -> Outcome:
    """Nothing within the wait: accepted work is owed, anything else was never answered."""
    call.ended_ns = 0
    return Outcome(answer=Answer(kind=AnswerKind.ACCEPTED if call.accepted_ns else AnswerKind.NONE))


def _record(departure: Departure, call: Call, start_ns: int, outcome: Outcome) -> Operation:
    kind = departure.operation
    return Operation(
        op_id=call.op_id,
        workload=departure.workload.name,
        name=kind.name,
        index=departure.index,
        intended_ns=departure.intended_ns,
        start_ns=start_ns,
        end_ns=call.ended_ns,
        deadline_ms=call.deadline_ms,
        answer=outcome.answer,
        effect=effect_of(outcome.bare or outcome.answer, writes=kind.writes, proven=outcome.proves_effect),
        trace_id=call.trace_id,
        route=kind.route,
        accepted_ns=call.accepted_ns,
        first_byte_ns=call.first_byte_ns,
        tenant=call.tenant or None,
        probe=departure.probe,
        asynchronous=kind.asynchronous,
        unmet=outcome.unmet,
    )
