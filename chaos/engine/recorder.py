"""The recorder: takes what proxy and driver report, writes it to the journal, and keeps the counters the live view shows."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import AsyncIterable, Callable

import anyio
import msgspec

from chaos.engine.clock import now_ns
from chaos.engine.steady import SteadyState
from chaos.errors import NotReadyError, ProxyError
from chaos.journal import Journal
from chaos.model.event import (
    AnyEvent,
    EvidenceLost,
    FaultEnded,
    FaultStarted,
    ProbesFinished,
    Progress,
)
from chaos.model.operation import AnswerKind, Operation
from chaos.model.wire_record import WireRecord
from chaos.workloads.protocol import DriverFailed, Message, OperationsBatch

__all__ = ["Recorder"]

_PROGRESS_EVERY_S = 0.5
_RATE_WINDOW_NS = 2_000_000_000
# The msgpack forms of the kinds that matter while the run goes on; batches without them are stored unread.
_MARKERS = (b"\xa2on", b"\xa3off", b"\xa4lost")


class Recorder:
    """One per run. `emit` writes an event and tells the listeners; the two `follow_*` loops run until their source ends."""

    def __init__(self, journal: Journal, listener: Callable[[AnyEvent], None], workloads: tuple[str, ...]) -> None:
        self._journal = journal
        self._listener = listener
        self._decoder = msgspec.msgpack.Decoder(list[WireRecord])
        self._ends: deque[int] = deque()
        self._outcomes: Counter[AnswerKind] = Counter()
        self._active: dict[tuple[str, str], None] = {}
        self._waiting_for = set(workloads)
        self.probed = anyio.Event()
        self.steady: SteadyState | None = None
        self.driver_failure: str | None = None
        self.driver_gone = anyio.Event()

    def emit(self, event: AnyEvent) -> None:
        """Write the event and tell the listener what was stored: a screen gets no secret that the journal does not hold."""
        self._listener(self._journal.write(event))

    async def follow_wire(self, payloads: AsyncIterable[bytes]) -> None:
        """Store the proxy's batches as they come; tell of faults that began and ended."""
        try:
            async for payload in payloads:
                self._journal.wire(payload)
                if any(marker in payload for marker in _MARKERS):
                    for record in self._decoder.decode(payload):
                        self._note_fault(record)
        except ProxyError as error:
            self.emit(EvidenceLost(t_ns=now_ns(), what=f"the wire log: {error}", count=1))

    async def follow_driver(self, messages: AsyncIterable[Message]) -> None:
        """Store the driver's operations and events until it is gone."""
        async for message in messages:
            if isinstance(message, OperationsBatch):
                self._journal.operations(message.operations)
                for operation in message.operations:
                    self._count(operation)
            elif isinstance(message, DriverFailed):
                self.driver_failure = message.reason
            else:
                self.emit(message)
                if isinstance(message, ProbesFinished):
                    self._waiting_for.discard(message.workload)
                    if not self._waiting_for:
                        self.probed.set()
        self.driver_gone.set()
        self.probed.set()

    def require_driver(self) -> None:
        """Raise NotReadyError when the driver is gone or gave up."""
        if self.driver_gone.is_set() or self.driver_failure:
            raise NotReadyError(f"the load driver ended early: {self.driver_failure or 'see logs/driver.log'}")

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

    def _count(self, operation: Operation) -> None:
        self._outcomes[operation.answer.kind] += 1
        self._ends.append(now_ns())
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
