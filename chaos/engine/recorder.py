"""The recorder: takes what proxy and driver report, writes it to the journal, and keeps the counters the live view shows."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import AsyncIterable, Callable
from functools import partial
from typing import TypeVar

import anyio
import msgspec

from chaos.engine.abort import AbortWatch
from chaos.engine.bypass import WIRE_MARKS, Passages
from chaos.engine.clock import now_ns
from chaos.engine.steady import SteadyState
from chaos.errors import JournalError, ProxyError
from chaos.journal import Journal
from chaos.ledger import Audit
from chaos.model.event import (
    AnyEvent,
    AttemptStarted,
    EvidenceLost,
    FaultArmed,
    FaultEnded,
    FaultStarted,
    ProbesFinished,
    ProcessExited,
    Progress,
    RunStarted,
)
from chaos.model.operation import AnswerKind, Operation
from chaos.model.plan import Plan
from chaos.model.wire_record import WireRecord
from chaos.workloads.protocol import DriverFailed, Message, OperationsBatch

__all__ = ["Recorder"]

_Stored = TypeVar("_Stored")

_PROGRESS_EVERY_S = 0.5
_EFFECTS_AT_ONCE = 500
_RATE_WINDOW_NS = 2_000_000_000
# The msgpack forms of what matters while the run goes on; batches without them are stored unread.
_MARKERS = (b"\xa2on", b"\xa3off", b"\xa4lost", *WIRE_MARKS)
_OURS = frozenset({"proxy", "driver", "postgres", "nats"})
"""Parts that the run brings along: without one of them it proves nothing. A service that dies is the system's own affair."""


class Recorder:
    """One for each run, second ones included. `emit` writes an event and tells the listeners; the two `follow_*` loops run until their source ends.

    Neither ever raises for a record that cannot be written (a full disk): healing goes on without one. What is lost is counted and told
    as soon as something can be written again. `give_up` hears, once or more, why the run proves nothing any more.
    """

    def __init__(
        self, journal: Journal, listener: Callable[[AnyEvent], None], plan: Plan, *, logs: str = "logs"
    ) -> None:
        self._journal = journal
        self._listener = listener
        self._logs = logs
        self._decoder = msgspec.msgpack.Decoder(list[WireRecord])
        self._ends: deque[int] = deque()
        self._outcomes: Counter[AnswerKind] = Counter()
        self._active: dict[tuple[str, str], None] = {}
        self._waiting_for = {one.name for one in plan.workloads}
        self._unhealed: dict[tuple[str, str], None] = {}
        self._unwritten: Counter[str] = Counter()
        self.passages = Passages(plan.links)
        self.probed = anyio.Event()
        self.steady: SteadyState | None = None
        self.abort: AbortWatch | None = None
        self.give_up: Callable[[str], None] = lambda _why: None

    def again(self, plan: Plan, logs: str) -> Recorder:
        """A recorder for a second run, in the same journal."""
        return Recorder(self._journal, self._listener, plan, logs=logs)

    def begin(self, event: RunStarted | AttemptStarted) -> None:
        """Write the first record. Raises JournalError when that fails: nothing has begun then."""
        self._listener(self._journal.write(event))

    def emit(self, event: AnyEvent) -> None:
        """Write the event and tell the listener what was stored: a screen gets no secret that the journal does not hold."""
        if isinstance(event, Progress):
            self._listener(event)  # for the screen only
            return
        stored = self._written("events", 1, lambda: self._journal.write(event))
        if stored is not None:
            self._listener(stored)
        self._consider(event)

    async def follow_wire(self, payloads: AsyncIterable[bytes]) -> None:
        """Store the proxy's batches as they come; tell of faults that began and ended."""
        try:
            async for payload in payloads:
                self._written("wire records", 1, partial(self._journal.wire, payload))
                if any(marker in payload for marker in _MARKERS):
                    for record in self._decoder.decode(payload):
                        self.passages.take(record)
                        self._note_fault(record)
        except ProxyError as error:
            self.passages.gaps = "the wire log broke off"
            self.emit(EvidenceLost(t_ns=now_ns(), what=f"the wire log: {error}", count=1))

    async def follow_driver(self, messages: AsyncIterable[Message]) -> None:
        """Store the driver's operations and events until it is gone."""
        async for message in messages:
            if isinstance(message, OperationsBatch):
                self._written(
                    "operations", len(message.operations), partial(self._journal.operations, message.operations)
                )
                for operation in message.operations:
                    self._count(operation)
            elif isinstance(message, DriverFailed):
                self.give_up(f"the load driver failed: {message.reason}")
            else:
                self.emit(message)
                if isinstance(message, ProbesFinished):
                    self._waiting_for.discard(message.workload)
                    if not self._waiting_for:
                        self.probed.set()
        self.probed.set()

    def record_audit(self, audit: Audit) -> None:
        """Store what was read back, then how reading it went: an effect counts only if all of it is in the record."""
        self.emit(audit.quiet)
        for first in range(0, len(audit.effects), _EFFECTS_AT_ONCE):
            batch = audit.effects[first : first + _EFFECTS_AT_ONCE]
            self._written("stored effects", len(batch), partial(self._journal.effects, batch))
        for read in audit.reads:
            self.emit(read)

    async def show_progress(self) -> None:
        """Emit Progress for the live view until cancelled."""
        while True:
            self.emit(self._progress())
            await anyio.sleep(_PROGRESS_EVERY_S)

    def _progress(self) -> Progress:
        now = now_ns()
        while self._ends and self._ends[0] < now - _RATE_WINDOW_NS:
            self._ends.popleft()
        return Progress(
            t_ns=now,
            per_s=len(self._ends) / (_RATE_WINDOW_NS / 1e9),
            ok=self._outcomes[AnswerKind.OK],
            errors=self._outcomes[AnswerKind.ERROR],
            unanswered=self._outcomes[AnswerKind.NONE] + self._outcomes[AnswerKind.ACCEPTED],
            in_flight=0,
            active=tuple(f"{fault} on {link}" for fault, link in self._active),
        )

    def _written(self, what: str, count: int, write: Callable[[], _Stored]) -> _Stored | None:
        """Have something written; None if that fails. Of what failed before, the loss is written first."""
        try:
            for lost, number in tuple(self._unwritten.items()):
                self._journal.write(EvidenceLost(t_ns=now_ns(), what=f"{lost} that could not be written", count=number))
                del self._unwritten[lost]
            return write()
        except JournalError as error:
            self._unwritten[what] += count
            self.give_up(f"the run cannot be recorded: {error}")
            return None

    def _consider(self, event: AnyEvent) -> None:
        """Which faults there may be, and whether the run still stands on what it needs."""
        match event:
            case FaultArmed():
                self._unhealed[event.fault, event.link] = None
            case FaultEnded():
                self._unhealed.pop((event.fault, event.link), None)
            case ProcessExited():
                if not event.expected and event.name in _OURS:
                    self.give_up(
                        f"{event.name} ended with {event.code}, which nobody asked for; see {self._logs}/{event.name}.log"
                    )
                if event.name == "proxy":
                    self._end_faults(event.t_ns)

    def _end_faults(self, t_ns: int) -> None:
        """The proxy of this run is gone, and with it every fault that it was not seen to end."""
        for fault, link in tuple(self._unhealed):
            self._active.pop((fault, link), None)
            self.emit(FaultEnded(t_ns=t_ns, fault=fault, link=link, how="proxy-gone"))

    def _count(self, operation: Operation) -> None:
        self._outcomes[operation.answer.kind] += 1
        self._ends.append(now_ns())
        if self.abort is not None:
            self.abort.add(operation, now_ns())
        if self.steady is not None and not operation.probe:
            self.steady.add(operation)

    def _note_fault(self, record: WireRecord) -> None:
        for fault in record.faults if record.kind in {"on", "off"} else ():
            if record.kind == "on":
                self._active[fault, record.link] = None
                self.emit(FaultStarted(t_ns=record.t_ns, fault=fault, link=record.link))
            else:
                self._active.pop((fault, record.link), None)
                self.emit(FaultEnded(t_ns=record.t_ns, fault=fault, link=record.link, how=record.status))
        if record.kind == "lost":
            self.emit(
                EvidenceLost(
                    t_ns=record.t_ns, what=f"wire records of {record.link or 'the proxy'}", count=record.nbytes
                )
            )
